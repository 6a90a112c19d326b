"""Sends events over HTTPS as the options say, and reads from the answers what became of each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from gateway.contract import Event, NotConnected, Outcome, OutcomeKind, UplinkContext
from gateway.uplink.https.answers import Answer
from gateway.uplink.https.compose import Composer, identity
from gateway.uplink.https.config import HttpsOptions
from gateway.uplink.https.handshake import origin_of, shake
from gateway.uplink.https.judge import Judge
from gateway.uplink.https.limits import Limits
from gateway.uplink.https.link import Link, Unanswered, UnderWay
from gateway.uplink.https.oauth import SLOW_PROBE_SECONDS, LoginRefused
from gateway.uplink.https.plan import Entry, Mapper, halves, in_order, plan
from gateway.uplink.https.sending import Patience, Sending
from gateway.uplink.https.shape import SINGLE
from gateway.uplink.https.template import Scope

log = logging.getLogger("lineside")
_QUIET_SECONDS = 60.0


class HttpsUplink:
    """The `Uplink` of the contract. A request that is refused as a whole is halved within the call until the bad event is alone."""

    def __init__(self, options: HttpsOptions, context: UplinkContext) -> None:
        self._options, self._context = options, context
        self._scope = Scope(vars=options.vars)
        self._mapper = Mapper(options, self._scope)
        self._composer = Composer(options)
        self._judge = Judge(options.result)
        self._link = Link(options, context)
        self._limits = Limits(self._link.get_json, context.used, context.clock, options.limits) if options.limits else None
        self._origin = {"Origin": name} if (name := origin_of(options, context)) else {}
        self._used = self._limits.told if self._limits else context.used
        self._told, self._counted = float("-inf"), 0

    async def connect(self) -> None:
        """Opens a connection and closes it again; logging in is left to the first request, so that a refusal is held, not repeated."""
        await self._link.open()
        await shake(self._link, self._options, self._context)

    async def close(self) -> None:
        await self._link.close()

    async def send(self, events: Sequence[Event]) -> list[Outcome]:
        """See the contract."""
        await self._link.renew()
        sending = Sending(len(events), Patience(self._options.timeout))
        requests, refused = plan(events, self._mapper, self._options)
        sending.refuses(refused.items())
        try:
            async with sending.patience.deadline:
                if self._options.body.form in SINGLE:
                    await self._side_by_side(sending, requests)
                else:
                    for request in requests:
                        await self._deliver(sending, request)
                if self._limits and not sending.stop:
                    await self._limits.ask()
        except TimeoutError:
            sending.hangs(f"no answer within {self._options.timeout:g} s")
        self._tell_cuts()
        return sending.outcomes()

    async def _side_by_side(self, sending: Sending, requests: Sequence[list[Entry]]) -> None:
        """`concurrency` at once, but those of one machine one after the other, in order."""
        lanes: dict[str, list[list[Entry]]] = {}
        for request in requests:
            lanes.setdefault(request[0].event.partitionkey, []).append(request)
        queue = iter(lanes.values())

        async def slot() -> None:
            for lane in queue:
                for request in lane:
                    await self._deliver(sending, request)

        try:
            async with asyncio.TaskGroup() as slots:
                for _ in range(min(self._options.concurrency, len(lanes))):
                    slots.create_task(slot())
        except ExceptionGroup as group:  # whoever supervises us knows a ConfigError, not a group with one in it
            raise group.exceptions[0] from None

    async def _deliver(self, sending: Sending, entries: list[Entry]) -> None:
        if sending.stop or not entries:
            return
        outcomes = await self._exchanged(sending, entries)
        if outcomes is not None:
            await self._end(sending, list(zip(entries, outcomes, strict=True)))
        elif not sending.stop:
            sending.splits(entries)
            for part in halves(entries, self._options):
                await self._deliver(sending, part)

    async def _end(self, sending: Sending, told: list[tuple[Entry, Outcome]]) -> None:
        """Events that were merged are not refused for one another: each of them is sent alone."""
        merged = [entry for entry, outcome in told if entry.parts and outcome.kind is OutcomeKind.PARK]
        rest = [(entry, outcome) for entry, outcome in told if not (entry.parts and outcome.kind is OutcomeKind.PARK)]
        sending.ends([entry for entry, _ in rest], [outcome for _, outcome in rest])
        sending.splits(merged)
        for part in in_order(merged):
            await self._deliver(sending, [part])

    async def _exchanged(self, sending: Sending, entries: list[Entry]) -> list[Outcome] | None:
        """One outcome per entry; None: halve it, or, when `sending` has stopped, leave it."""
        try:
            answer = await self._request(entries, lambda out: sending.begins(entries) if out else sending.splits(entries))
        except NotConnected as exc:
            sending.loses(exc, entries)
            return None
        except LoginRefused as exc:
            return [Outcome.hold(str(exc), exc.after_seconds)] * len(entries)
        except Unanswered as exc:
            return [Outcome.retry(f"unknown: {exc}", unknown=True)] * len(entries)
        sending.patience.answered()
        if usage := self._judge.usage(answer):
            self._used(usage)
        if self._link.tokens is not None and self._judge.refuses_login(answer):
            why = f"the receiver refuses a new token too ({answer.status}: {answer.said()})"
            return [Outcome.hold(why, SLOW_PROBE_SECONDS)] * len(entries)
        return self._judge.outcomes(answer, [entry.mark for entry in entries], self._context.clock.now_ns() / 1e9)

    async def _request(self, entries: list[Entry], under_way: UnderWay) -> Answer:
        body, headers = self._composer.body(entries), self._composer.headers(entries)
        id_ = identity([entry.event.id for entry in entries])
        return await self._link.send(entries[0].path, body, headers | self._origin, id_, self._judge.refuses_login, under_way)

    def _tell_cuts(self) -> None:
        """Counted each time; in the log at once, then once a minute at most, with all since."""
        now, cuts = self._context.clock.monotonic(), self._scope.cuts
        if fresh := cuts.total() - self._counted:
            self._context.cut(fresh)
            self._counted += fresh
        if cuts and now - self._told >= _QUIET_SECONDS:
            facts = {"destination": self._context.name, "fields": cuts.total(), "templates": ", ".join(cuts)[:300]}
            log.warning("cut short or left empty to fit the receiver's fields", extra={"fields": facts})
            cuts.clear()
            self._told, self._counted = now, 0
