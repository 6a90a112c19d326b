"""Looks after the gateway's clock: whether it is trusted, what is to be done when it becomes so, and who is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gateway.clock import Adopted, KeptClock, Shift, record
from gateway.contract import Finding, Json, Severity, State
from gateway.engine.setback import Resumed
from gateway.engine.stages import AHEAD_NS
from gateway.events.build import EventBuilder, rfc3339
from gateway.events.catalogue import GATEWAY
from gateway.incidents import Rule
from gateway.outbox import correct, ledger
from gateway.outbox.correct import Leap, Stretch
from gateway.telemetry.counts import Figure
from gateway.telemetry.status import Status

if TYPE_CHECKING:
    from gateway.engine.accept import Acceptance
    from gateway.engine.blocks import Blocks
    from gateway.engine.pipeline import Pipeline
    from gateway.engine.waiting import Waiting
    from gateway.incidents import Incidents
    from gateway.operators.shelving import Shelving
    from gateway.outbox.breaker import Breaker
    from gateway.outbox.losses import Losses
    from gateway.outbox.store import Outbox

log = logging.getLogger("lineside")
LOOK_SECONDS = 1.0
TELL_SECONDS = 600.0
SETTLE_SECONDS = 60.0
"""So long after a leap a reading may still be of the time before."""
_SEEN_SECONDS = 600.0
_RELEASE_SECONDS = 10.0
_RELEASE = 100
_ENDLESS = (1 << 63) - 1
_YEARS_NS = 100 * 365 * 86_400_000_000_000
DETECTOR = "gateway"
CONDITION = "clock_not_trusted"
_WHY = {
    "not_yet": "since the boot neither NTP nor a battery-backed clock has confirmed the time",
    "stepped": "the clock was set while the gateway ran, and nothing has confirmed it yet",
}


class Followers(NamedTuple):
    """Who remembers times of the gateway's clock, and has to know when it leaps."""

    pipeline: Pipeline
    acceptance: Acceptance
    incidents: Incidents
    blocks: Blocks
    shelving: Shelving
    losses: Losses
    breakers: Callable[[], Iterable[Breaker]]


class Timekeeping:
    """Of one gateway. What it knows lies in `clock.json`, so that a restart goes on with it."""

    def __init__(self, clock: KeptClock, outbox: Outbox, status: Status, builder: EventBuilder, folder: Path, files: Executor) -> None:
        self.clock, self._outbox, self._status, self._builder = clock, outbox, status, builder
        self._folder, self._files = folder, files
        self._record = record.Record()
        self._unnoted_ns = 0
        self._told: Callable[[dict[str, int]], dict[str, int]] = lambda before: before
        self._saved_at = self._released_at = 0.0
        self.corrected = 0
        """Events whose times were put right since the start."""
        self._settled_at: float | None = None
        self._adopting: asyncio.Task[None] | None = None
        self._said = False
        status.doubted = lambda: not clock.trusted

    rule = Rule(DETECTOR, GATEWAY, 0.0, 0.0, None)

    async def open(self) -> None:
        """Before anything is stamped or stored."""
        known = await self._on_disk(record.load, self._folder)
        alive_ns, last, noted, oldest, leapt = await self._outbox.run(
            lambda c: (ledger.last_alive_ns(c), correct.last_sequence(c), correct.noted(c), correct.oldest(c), correct.leapt(c))
        )
        self._record = known
        if leapt is not None and leapt.number > known.leaps:
            known.follow(leapt.boot, leapt.offset_ns, leapt.delta_ns)
            known.note(leapt.number, leapt.last, leapt.delta_ns)
        if known.first and noted[0] == known.from_ns:  # put right, and then the power went
            known.end_stretch(known.released, noted[1])
            known.put_right_ns, known.told_ns = known.put_right_ns + noted[1], {}
        before, seen_ns = known.boot, known.seen_ns
        self.clock.open(known, alive_ns)
        self._unnoted_ns = max(0, min(int(_SEEN_SECONDS * 1e9), self.clock.now_ns() - seen_ns))
        if known.first and before != self.clock.boot_id:
            known.end_stretch(last, max(0, self.clock.now_ns() - seen_ns))  # by how much it was behind, at most
        elif known.first and self.clock.trusted:
            known.end_stretch(last, 0)
        if not self.clock.trusted and not known.first:
            known.first, known.released, known.from_ns = last + 1, last, self.clock.now_ns()
        known.doubted = [each for each in known.doubted if each[1] >= oldest]
        known.shifts = [each for each in known.shifts if each.last >= oldest]
        self._apply()
        await self._save()
        facts = {"state": self.clock.state, "by": self.clock.by or "nothing", "gateway_time": rfc3339(self.clock.now_ns())}
        log.log(logging.INFO if self.clock.trusted else logging.WARNING, "clock", extra={"fields": facts})

    def join(self, followers: Followers) -> None:
        """From now on it can leap."""
        self._followers, self._pipeline = followers, followers.pipeline
        self._acceptance, self._incidents = followers.acceptance, followers.incidents
        self._pipeline.resumed, self._told = Resumed(self._record.told_ns, self._unnoted_ns), self._pipeline.newest
        self._doubt()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.clock.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Once a second."""
        before = self.clock.state
        by = self.clock.due()
        if by:
            self._adopting = asyncio.create_task(self._adopt(by), name="leap")
            await asyncio.shield(self._adopting)  # a stop that comes meanwhile ends no leap halfway
        elif self.clock.state != before:
            await self._changed()
        elif not self.clock.trusted:
            await self._release()
        self._doubt()
        self._tell_incident()
        if self.clock.monotonic() - self._saved_at > _SEEN_SECONDS:
            await self._save()

    async def close(self) -> None:
        """The last thing. A leap that the disk does not take is none: the next start goes on with the time before, as what is stored."""
        if self._adopting is not None:
            self._adopting.cancel()  # if it has ended, this does nothing, and an error of it comes to light
            with suppress(asyncio.CancelledError):
                await self._adopting
        if self._outbox.followed.is_set():
            await self._save()

    @property
    def put_right_ns(self) -> int:
        """By how much it was, all in all."""
        return self._record.put_right_ns

    def told(self) -> dict[str, Json]:
        """For the status."""
        clock = self.clock
        return {
            "state": clock.state,
            "trusted": clock.trusted,
            "by": clock.by,
            "seconds": round(clock.seconds, 1),
            "why": _WHY.get(clock.state, ""),
            "behind_system_seconds": round((clock.wall_ns - clock.now_ns()) / 1e9, 3),
            "steps": clock.steps,
            "events_held": self._outbox.newest is not None,
            "events_corrected": self.corrected,
        }

    def figures(self) -> Iterator[Figure]:
        yield Figure("clock_trusted", "1 = the gateway's clock is trusted", int(self.clock.trusted))
        yield Figure("clock_steps", "how often the system's clock was set while the gateway ran", self.clock.steps, kind="counter")
        yield Figure("clock_events_corrected", "events whose times were put right since the start", self.corrected, kind="counter")

    async def _changed(self) -> None:
        """The wall clock was set, and is not believed yet; or it is back where it was."""
        clock, known = self.clock, self._record
        facts = {"from": rfc3339(clock.now_ns()), "to": _shown(clock.wall_ns)}
        if clock.trusted:
            log.info("clock is back", extra={"fields": facts})
            known.first = 0  # what was stamped meanwhile went by the right one
        else:
            log.warning("clock was set, and is not trusted yet", extra={"fields": {**facts, "wait_seconds": clock.wait_seconds}})
            known.first = await self._outbox.insist(correct.last_sequence) + 1
            known.released, known.from_ns = _ENDLESS, clock.now_ns()
        self._apply()
        await self._save()

    async def _adopt(self, by: str) -> None:
        """Everything stamped so far goes to disk; then the clock, what is remembered and what is stored leap at once."""
        if self._put_off:
            return
        async with self._acceptance.still(self._pipeline.flush) as waiting:
            if self._put_off:
                return
            self._outbox.followed.clear()
            adopted = self.clock.adopt(by)
            if adopted.was == "not_yet":
                await self._correct(adopted, waiting)
            else:
                await self._set(adopted, waiting)
            self._apply()
        await self._save()
        self._tell(adopted)

    @property
    def _put_off(self) -> bool:
        """What was stamped before is stored again and again, and could come behind; or a reload makes ready what would miss the leap. The
        next look asks again.
        """
        return self._outbox.repeating > 0 or self._pipeline.changing.locked()

    async def _correct(self, adopted: Adopted, waiting: Waiting) -> None:
        known = self._record
        stretch = Stretch(known.released, known.from_ns, adopted.from_ns, adopted.delta_ns)
        self._leap(adopted.delta_ns, stretch.right)
        self._incidents.correct(stretch.right, partial(correct.moved, stretch=stretch))
        self._pipeline.right = stretch.right  # a source may still hold what it stamped before
        waiting.put_right(stretch.event, stretch.row)
        count, last = await self._outbox.follow(partial(correct.correct, stretch=stretch))
        self.corrected += count
        known.shifts += [Shift(first, until, adopted.delta_ns) for first, until in known.doubted]
        known.end_stretch(min(known.released, last), adopted.delta_ns)

    async def _set(self, adopted: Adopted, waiting: Waiting) -> None:
        delta_ns = adopted.delta_ns
        leap = Leap(self._record.leaps + 1, self.clock.boot_id, self.clock.offset_ns, delta_ns)
        self._leap(delta_ns, lambda t_ns: t_ns + delta_ns)
        self._followers.blocks.leap(delta_ns)
        self._incidents.leap(delta_ns)
        waiting.put_right(leap.event, leap.row)
        last = await self._outbox.follow(partial(correct.age_as_before, leap=leap))
        self._record.note(leap.number, last, leap.delta_ns)

    def _leap(self, delta_ns: int, right: Callable[[int], int]) -> None:
        """What lies in memory."""
        self._record.put_right_ns += delta_ns
        self._record.told_ns = {}
        self._pipeline.leap(delta_ns)
        self._status.leap(delta_ns)
        for breaker in self._followers.breakers():
            breaker.leap(right)
        self._followers.losses.leap(right)
        self._followers.shelving.leap(right)
        self._settled_at = self.clock.monotonic() + SETTLE_SECONDS
        self._pipeline.line.table.ahead_ns = AHEAD_NS + abs(delta_ns)
        self._doubt()

    def _doubt(self) -> None:
        """What the stages have to know; a reload makes a new table, which takes it over."""
        table = self._pipeline.line.table
        if self.clock.trusted:
            table.doubt_from_ns = 0
            if self._settled_at is None or self.clock.monotonic() >= self._settled_at:
                table.ahead_ns, self._settled_at, self._pipeline.right = AHEAD_NS, None, None
        else:
            table.doubt_from_ns, table.ahead_ns = max(1, self._record.from_ns), _YEARS_NS

    def _apply(self) -> None:
        """What the outbox has to know."""
        known = self._record
        known.doubted, known.shifts = known.doubted[-record.MOST :], known.shifts[-record.MOST :]
        held = known.first and self.clock.state == "not_yet"
        self._outbox.newest = known.released if held else None
        self._outbox.shifts = list(known.shifts)
        now = [(known.first, _ENDLESS)] if known.first else []
        self._outbox.doubted = [(first, last, 0) for first, last in [*known.doubted, *now]]
        self._outbox.followed.set()

    async def _release(self) -> None:
        """What has waited for its time long enough goes as it is: a few at a time, and only while somebody takes them."""
        now, clock = self.clock.monotonic(), self.clock
        if self._outbox.newest is None or now - self._released_at < _RELEASE_SECONDS:
            return
        up = any(link.kind == "destination" and link.state == "up" for link in self._status.links.values())
        if not up:
            return
        before_ns, after = clock.now_ns() - int(clock.wait_seconds * 1e9), self._record.released
        released = await self._outbox.insist(partial(correct.waited, after=after, before_ns=before_ns, most=_RELEASE))
        self._released_at = now
        if released <= after:
            return
        self._record.released = released
        if await self._save():  # first: what may have been sent is not changed any more, whatever happens now
            self._apply()
        else:
            self._record.released = after

    def _tell(self, adopted: Adopted) -> None:
        seconds = adopted.delta_ns / 1e9
        facts = {"from": rfc3339(adopted.from_ns), "to": rfc3339(adopted.to_ns), "seconds": round(seconds, 3), "by": adopted.by}
        log.warning("clock is right now", extra={"fields": {**facts, "events_corrected": self.corrected}})
        if abs(adopted.delta_ns) < 1_000_000_000:
            return
        gateway = self._builder.source.rsplit(":", 1)[-1]
        title = f"{gateway}: the clock was put {'forward' if seconds > 0 else 'back'} by {abs(seconds):.0f} s"
        data: dict[str, Json] = {"title": title[:255], "at": facts["to"], **facts, "corrected": self.corrected}
        self._acceptance.event(self._builder.of_gateway("clock_set", data, severity=Severity.WARNING, now_ns=adopted.to_ns))

    def _tell_incident(self) -> None:
        """A clock that is not trusted for long is a case."""
        active = not self.clock.trusted and self.clock.seconds >= TELL_SECONDS
        if active == self._said:
            return
        self._said, now_ns = active, self.clock.now_ns()
        gateway = self._builder.source.rsplit(":", 1)[-1]
        finding = Finding(
            machine=gateway,
            condition=CONDITION,
            state=State.ACTIVE if active else State.OVER,
            t_ns=now_ns,
            since_ns=now_ns - int(self.clock.seconds * 1e9) if active else now_ns,
            severity=Severity.WARNING,
            title=f"{gateway}: the clock cannot be trusted: {_WHY.get(self.clock.state, '')}"
            if active
            else f"{gateway}: the clock is right",
            explanation={"state": self.clock.state, "system_shows": _shown(self.clock.wall_ns)},
        )
        for change in self._incidents.apply(finding, self.rule):
            self._acceptance.change(change)

    async def _save(self) -> bool:
        """True: it is on disk."""
        self._record.told_ns = self._told(self._record.told_ns)
        body = msgspec.json.encode(self.clock.kept(self._record))
        self._saved_at = self.clock.monotonic()
        try:
            await self._on_disk(record.save, self._folder, body)
        except OSError as exc:
            log.error("clock.json cannot be written", extra={"fields": {"why": exc.strerror or str(exc)}})
            return False
        return True

    async def _on_disk(self, work: Callable[..., record.Record | None], *given: object) -> record.Record:
        return await asyncio.get_running_loop().run_in_executor(self._files, partial(work, *given)) or self._record


def _shown(t_ns: int) -> str:
    return rfc3339(max(0, t_ns))
