"""Publishes to JetStream; an event counts as sent when the stream has acknowledged it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from nats.aio.client import Client
from nats.errors import Error as NatsError

from gateway.contract import Event, NotConnected, Outcome, UplinkContext
from gateway.events.codec import nats_header_block
from gateway.uplink.nats.answers import outcome
from gateway.uplink.nats.config import NatsOptions
from gateway.uplink.nats.link import Link, reason
from gateway.uplink.nats.stream import as_fields, look
from gateway.uplink.nats.subjects import site_subjects, subject_of
from gateway.uplink.nats.wire import hpub, send_raw

log = logging.getLogger("lineside")

_HEADERS_BYTES = 8192
"""More than the headers of any event."""
LIMIT_SECONDS = 300.0
_ONLY_IF_FIRST = b"Nats-Expected-Last-Subject-Sequence: 0\r\n\r\n"


class NatsUplink:
    """One connection, one reply inbox for all acknowledgements, `in_flight` publishes at a time.

    The library's own request per publish costs a future, a timer and an inbox lookup each; here the whole batch shares
    one subscription and one deadline. It never reconnects by itself: the sender builds a new one.
    """

    def __init__(self, options: NatsOptions, context: UplinkContext) -> None:
        self._options, self._context = options, context
        self._link = Link(options, context, replied=self._replied, refused=self._refused, lost=self._lost)
        self._outcomes: dict[int, Outcome] = {}
        self._waiting: dict[int, str] = {}
        self._most = 0
        self._waiter: asyncio.Future[None] | None = None
        self._doubt = ""
        self._since = 0.0

    async def connect(self) -> None:
        await self._link.open()
        self._since = self._context.clock.monotonic()
        for complaint in await look(self._link, self._options, self._context):
            if complaint.fatal:
                raise NotConnected(self._options.nats, str(complaint))
            log.warning("stream", extra={"fields": as_fields(complaint, self._context.name)})

    async def send(self, events: Sequence[Event]) -> list[Outcome]:
        """See the contract. What is not acknowledged within the timeout is unknown: sent again with the same id."""
        client = self._link.client
        if self._doubt:
            raise NotConnected(self._options.nats, self._doubt)  # connecting again asks what became of the stream
        self._ask_for_limit(events, client.max_payload)
        first = self._link.tickets(len(events))
        self._outcomes.clear()
        try:
            async with asyncio.timeout(self._options.timeout):
                await self._publish_all(client, first, events)
        except TimeoutError:
            return self._told_so_far(first, len(events), "no acknowledgement in time")
        except (NatsError, OSError) as exc:
            return self._told_so_far(first, len(events), reason(exc))
        finally:
            self._waiting.clear()
        return [self._outcomes[ticket] for ticket in range(first, first + len(events))]

    async def close(self) -> None:
        await self._link.close()

    def _ask_for_limit(self, events: Sequence[Event], limit: int) -> None:
        """The server says what it takes at the beginning of a connection, and not when that is raised: before an event is parked for it,
        connect again, unless that was done in the last five minutes.
        """
        if self._context.clock.monotonic() - self._since >= LIMIT_SECONDS:
            for event in events:
                if len(event.data) + _HEADERS_BYTES > limit and len(self._header(event)) + len(event.data) > limit:
                    raise NotConnected(
                        self._options.nats, f"{len(event.data)} bytes are more than the server took; asking again what it takes"
                    )

    def _header(self, event: Event) -> bytes:
        header = nats_header_block(event)
        return header[:-2] + _ONLY_IF_FIRST if self._options.exactly_once else header

    async def _publish_all(self, client: Client, first: int, events: Sequence[Event]) -> None:
        in_flight = self._options.in_flight
        window = (in_flight + 1) // 2
        for start in range(0, len(events), window):
            # Down to half, not by one: each wake-up of this task costs as much as several publishes.
            await self._until(in_flight - window)
            await self._publish(client, first + start, events[start : start + window])
        await self._until(0)

    async def _publish(self, client: Client, first: int, events: Sequence[Event]) -> None:
        options, inbox, commands = self._options, self._link.inbox, []
        for ticket, event in enumerate(events, first):
            header = self._header(event)
            if len(header) + len(event.data) > client.max_payload:
                self._told(ticket, Outcome.park(f"{len(event.data)} bytes are more than the server takes", code="max_payload"))
                continue
            self._waiting[ticket] = subject = subject_of(event, options.subject_prefix, own=options.exactly_once)
            commands.append(hpub(subject, f"{inbox}.{ticket}", header, event.data))
        await send_raw(client, commands)

    def _told_so_far(self, first: int, count: int, why: str) -> list[Outcome]:
        """What was never handed to the connection is known not to be there."""
        unknown, unsent = Outcome.retry(why, unknown=True), Outcome.retry(why)
        tickets = range(first, first + count)
        return [self._outcomes.get(ticket) or (unknown if ticket in self._waiting else unsent) for ticket in tickets]

    def _replied(self, ticket: int, payload: bytes, unheard: bool) -> None:
        if ticket not in self._waiting:
            return  # of a batch that was given up
        if unheard:
            self._doubt = f"nobody takes {self._waiting[ticket]}: the stream, its server or the link to it is gone"
            self._told(ticket, Outcome.retry(self._doubt))
        else:
            self._told(ticket, outcome(payload, stream=self._options.stream, exactly_once=self._options.exactly_once))

    def _refused(self, subject: str) -> None:
        allow = site_subjects(self._context.source, self._options.subject_prefix)
        for ticket, mine in [*self._waiting.items()]:
            if mine.lower() == subject:
                self._told(ticket, Outcome.hold(f'the user may not publish to {mine}; allow publish on "{allow}"'))

    def _told(self, ticket: int, outcome: Outcome) -> None:
        self._outcomes[ticket] = outcome
        self._waiting.pop(ticket, None)
        if len(self._waiting) <= self._most and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _until(self, most: int) -> None:
        """Wait until at most `most` are unacknowledged; raises NatsError when the connection is lost meanwhile."""
        while len(self._waiting) > most:
            if self._link.lost:
                raise NatsError(self._link.why)
            self._most, self._waiter = most, asyncio.get_running_loop().create_future()
            await self._waiter

    def _lost(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(NatsError(self._link.why))
        self._context.lost()
