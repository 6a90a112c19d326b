"""A subscription that is read, not called back: one publish response at a time becomes one Batch.

The library's own subscription decodes each value into objects, makes an event of each, and hides a lost session behind a
retry once a second. Here publish requests are answered into columns, the order of the server is kept, and nothing is buffered:
while nobody reads, the values wait in the server's queues, whose overflow the status of a value tells.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from asyncua import ua
from asyncua.ua.uaerrors import BadTooManyPublishRequests
from numpy.typing import NDArray

from drivers.opcua.config import OpcuaOptions
from drivers.opcua.decode import Columns, decode
from drivers.opcua.pick import Blocks, Pick
from drivers.opcua.publish import Published, parse
from drivers.opcua.session import Session
from gateway.contract import BAD, Batch, Clock, Quality, Tag, Waveform

KEEP_ALIVE_SECONDS = 3.0
LIFETIME_SECONDS = 60.0
SILENT_SECONDS = 10.0
REQUESTS = 2  # publish requests the server may answer before it hears from us again


class Silent(TimeoutError):
    """No publish response, not even a keep-alive, for too long; or nothing but keep-alives."""


class Ended(ConnectionError):
    """The server ended the subscription."""


class Subscription:
    """Of all tags of one source. The client handle of a tag's item is its position in `tags`; the one behind the last is the server's
    time, which comes the same way as all values and so shows that the way is open.

    Methods raise one of `refusal.FAILURES`, among them `Silent` and `Ended`.

    id              the server's number of it
    silence_seconds how long we have waited since a value or the server's time came; keep-alives do not end it
    server_time     as it came last, seconds since 1970; NaN before
    picks, blocks   by handle: what is more than one number
    """

    def __init__(
        self, session: Session, options: OpcuaOptions, tags: Sequence[Tag], *, clock: Clock, dropped: Callable[[str, int], None]
    ) -> None:
        self._session, self._options = session, options
        self._clock, self._dropped = clock, dropped
        self._index = np.array([tag.index for tag in tags], dtype=np.int32)
        self._order = np.argsort(self._index, kind="stable")
        self._requests: deque[asyncio.Task[Any]] = deque()
        self._wanted = REQUESTS
        self._acknowledge: list[Any] = []
        self._ended = ""
        self.id = 0
        self.silent_seconds = SILENT_SECONDS
        self.silence_seconds = 0.0
        self.server_time = float("nan")
        self.server_time_moved = False
        self.picks: Mapping[int, Pick] = {}
        self.blocks: Mapping[int, Blocks] = {}

    async def create(self) -> None:
        """The server may revise what we ask for; how long it may be silent follows from what it decides."""
        publishing = min(self._options.publishing, self._session.publish_seconds)
        request = ua.CreateSubscriptionRequest()
        request.Parameters = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=publishing * 1000,
            RequestedLifetimeCount=max(100, int(LIFETIME_SECONDS / publishing)),
            RequestedMaxKeepAliveCount=max(1, int(KEEP_ALIVE_SECONDS / publishing)),
            MaxNotificationsPerPublish=0,
            PublishingEnabled=True,
            Priority=0,
        )
        given = (await self._session.ask(request, ua.CreateSubscriptionResponse)).Parameters
        self.id = given.SubscriptionId
        keep_alive = given.RevisedPublishingInterval / 1000 * given.RevisedMaxKeepAliveCount
        self.silent_seconds = max(SILENT_SECONDS, 2.5 * keep_alive)

    async def next(self, wake: asyncio.Event | None = None) -> Published | None:
        """The next publish response; None for one that is not ours, or if `wake` was set first. May be cancelled."""
        if self._ended:
            raise Ended(f"the server ended the subscription: {self._ended}")
        self.listen()
        head = self._requests[0]
        if not await self._answered(head, wake):
            return None
        self._requests.popleft()
        try:
            published = parse(bytes(head.result()))
        except BadTooManyPublishRequests:
            if self._wanted == 1:
                raise
            self._wanted = 1
            return None
        if published.subscription != self.id:
            return None
        if published.data or published.events or published.ended:
            self._acknowledge.append(ua.SubscriptionAcknowledgement(published.subscription, published.sequence))
        self._ended = published.ended
        return published

    def readings(self, published: Published) -> list[Batch | Waveform]:
        """What came, in order: at most one Batch, and the blocks of waveforms."""
        now_ns = self._clock.now_ns()
        batches: list[Batch] = []
        blocks: list[Waveform] = []
        for body in published.data:
            columns = decode(body, now_ns)
            if columns.overflow:
                self._dropped("server_queue_full", columns.overflow)  # at least one older value was lost for each
            if columns.undecoded:
                self._dropped("undecodable", columns.undecoded)
            if len(columns.handle):
                self.silence_seconds = 0.0
            batches.append(self._batch(columns, now_ns, blocks))
        batch = Batch.concat(batches) if batches else None
        return [*([batch] if batch is not None and len(batch) else []), *blocks]

    def listen(self) -> None:
        """Let the server answer, without waiting for it."""
        while len(self._requests) < self._wanted:
            self._publish()

    @property
    def waiting(self) -> bool:
        """Whether a response is there already."""
        return bool(self._requests) and self._requests[0].done()

    def positions(self, index: NDArray[np.int32]) -> NDArray[np.int64]:
        """Client handles of tags, by their index in the tag table."""
        return self._order[np.searchsorted(self._index, index, sorter=self._order)]

    async def end(self) -> None:
        """Forget the open requests. The subscription itself ends with its session."""
        for request in self._requests:
            request.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)
        self._requests.clear()

    def _batch(self, columns: Columns, now_ns: int, blocks: list[Waveform]) -> Batch:
        self._hear(columns)
        value, quality = columns.value, columns.quality
        known = columns.handle < len(self._index)
        if self.picks or self.blocks:
            self._look_into(columns, known, now_ns, blocks)
        handle = columns.handle[known]
        return Batch(self._index[handle], columns.t_ns[known], value[known], quality[known])

    def _look_into(self, columns: Columns, known: Any, now_ns: int, blocks: list[Waveform]) -> None:
        """Puts elements and fields into the columns, and takes blocks out of them."""
        special = np.flatnonzero(np.isin(columns.handle, [*self.picks, *self.blocks]))
        for row in special.tolist():
            handle, told = int(columns.handle[row]), columns.others.get(row)
            if handle in self.blocks:
                known[row] = False
                own = self.blocks[handle]
                blocks.append(own.take(told, now_ns) if told else own.nothing(int(columns.t_ns[row]), int(columns.quality[row])))
            elif told is not None:
                columns.value[row], columns.quality[row] = self.picks[handle](told)
            elif columns.quality[row] < BAD:  # a plain number, where an element or a field was asked for
                columns.value[row], columns.quality[row] = np.nan, Quality.BAD_TYPE

    def _hear(self, columns: Columns) -> None:
        times = columns.value[(columns.handle == len(self._index)) & (columns.quality < BAD)]
        if len(times):
            self.server_time_moved |= not np.isnan(self.server_time) and bool(times[-1] != self.server_time)
            self.server_time = float(times[-1])

    def _publish(self) -> None:
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements, self._acknowledge = self._acknowledge, []
        self._requests.append(asyncio.create_task(self._session.send(request, timeout=0), name="opcua publish"))

    async def _answered(self, head: asyncio.Task[Any], wake: asyncio.Event | None) -> bool:
        if head.done():
            return True
        others: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._clock.sleep(self.silent_seconds))}
        if wake is not None:
            others.add(asyncio.ensure_future(wake.wait()))
        began = self._clock.monotonic()
        try:
            await asyncio.wait({head, *others}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.silence_seconds += self._clock.monotonic() - began
            for each in others:
                each.cancel()
        if not head.done() and (wake is None or not wake.is_set()):
            raise Silent(f"no sign of life for {self.silent_seconds:g} s")
        return head.done()
