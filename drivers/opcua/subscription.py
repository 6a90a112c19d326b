"""A subscription that is read, not called back: one publish response at a time becomes one Batch.

The library's own subscription decodes each value into objects, makes an event of each, and hides a lost session behind a
retry once a second. Here publish requests are answered into columns, the order of the server is kept, and nothing is buffered:
while nobody reads, the values wait in the server's queues, whose overflow the status of a value tells.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from asyncua import ua
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import BadTooManyOperations, BadTooManyPublishRequests

from drivers.opcua.config import OpcuaOptions, split_node
from drivers.opcua.decode import decode
from drivers.opcua.publish import parse
from gateway.contract import Batch, Clock, Tag

KEEP_ALIVE_SECONDS = 3.0
LIFETIME_SECONDS = 60.0
SILENT_SECONDS = 10.0
ITEMS_PER_CALL = 500
REQUESTS = 2  # publish requests the server may answer before it hears from us again


class Silent(TimeoutError):
    """No publish response, not even a keep-alive, for too long."""


class Ended(ConnectionError):
    """The server ended the subscription."""


class Subscription:
    """Of all tags of one source. The client handle of an item is the position of its tag in `tags`.

    Methods raise one of `session.FAILURES`, among them `Silent` and `Ended`.
    """

    def __init__(
        self, client: Any, options: OpcuaOptions, tags: Sequence[Tag], *, clock: Clock, dropped: Callable[[str, int], None]
    ) -> None:
        self._client, self._options, self._tags = client, options, tuple(tags)
        self._clock, self._dropped = clock, dropped
        self._index = np.array([tag.index for tag in tags], dtype=np.int32)
        self._requests: deque[asyncio.Task[Any]] = deque()
        self._wanted = REQUESTS
        self._acknowledge: list[Any] = []
        self._id = 0
        self._ended = ""
        self.silent_seconds = SILENT_SECONDS

    async def create(self) -> None:
        """The server may revise what we ask for; how long it may be silent follows from what it decides."""
        options = self._options
        request = ua.CreateSubscriptionRequest()
        request.Parameters = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=options.publishing * 1000,
            RequestedLifetimeCount=max(100, int(LIFETIME_SECONDS / options.publishing)),
            RequestedMaxKeepAliveCount=max(1, int(KEEP_ALIVE_SECONDS / options.publishing)),
            MaxNotificationsPerPublish=0,
            PublishingEnabled=True,
            Priority=0,
        )
        response = struct_from_binary(ua.CreateSubscriptionResponse, await self._send(request))
        response.ResponseHeader.ServiceResult.check()
        given = response.Parameters
        self._id = given.SubscriptionId
        keep_alive = given.RevisedPublishingInterval / 1000 * given.RevisedMaxKeepAliveCount
        self.silent_seconds = max(SILENT_SECONDS, 2.5 * keep_alive)

    async def monitor(self, positions: Sequence[int]) -> list[int]:
        """Create items for the tags at `positions`; those the server refuses come back."""
        namespaces = await self._client.get_namespace_array()
        refused, asked, requests = [], [], []
        for position in positions:
            request = self._item(position, namespaces)
            if request is None:
                refused.append(position)
            else:
                asked.append(position)
                requests.append(request)
        for start in range(0, len(requests), ITEMS_PER_CALL):
            statuses = await self._create_items(requests[start : start + ITEMS_PER_CALL])
            refused += [position for position, good in zip(asked[start:], statuses, strict=False) if not good]
        return sorted(refused)

    async def next(self) -> Batch:
        """What the next publish response brings; nothing for a keep-alive. May be cancelled."""
        if self._ended:
            raise Ended(f"the server ended the subscription: {self._ended}")
        while len(self._requests) < self._wanted:
            self._publish()
        head = self._requests[0]
        await self._answered(head)
        self._requests.popleft()
        try:
            published = parse(bytes(head.result()))
        except BadTooManyPublishRequests:
            if self._wanted == 1:
                raise
            self._wanted = 1
            return Batch.of([], [], [])
        if published.subscription != self._id:
            return Batch.of([], [], [])
        if published.data or published.ended:
            self._acknowledge.append(ua.SubscriptionAcknowledgement(published.subscription, published.sequence))
        self._ended = published.ended
        batches = [self._batch(body) for body in published.data]
        return Batch.concat(batches) if batches else Batch.of([], [], [])

    async def end(self) -> None:
        """Forget the open requests. The subscription itself ends with its session."""
        for request in self._requests:
            request.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)
        self._requests.clear()

    def _batch(self, body: bytes) -> Batch:
        columns = decode(body, self._clock.now_ns())
        if columns.overflow:
            self._dropped("server_queue_full", columns.overflow)  # at least one older value was lost for each
        if columns.undecoded:
            self._dropped("undecodable", columns.undecoded)
        known = columns.handle < len(self._index)
        handle = columns.handle[known]
        return Batch(self._index[handle], columns.t_ns[known], columns.value[known], columns.quality[known])

    def _publish(self) -> None:
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements, self._acknowledge = self._acknowledge, []
        self._requests.append(asyncio.create_task(self._send(request, timeout=0), name="opcua publish"))

    async def _answered(self, head: asyncio.Task[Any]) -> None:
        if head.done():
            return
        timer = asyncio.ensure_future(self._clock.sleep(self.silent_seconds))
        try:
            await asyncio.wait({head, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        if not head.done():
            raise Silent(f"no sign of life for {self.silent_seconds:g} s")

    async def _send(self, request: Any, timeout: float | None = None) -> Any:
        """The bytes of the response. The library's only way to them is private; a test pins it."""
        return await self._client.uaclient._send_request(request, timeout)

    def _item(self, position: int, namespaces: Sequence[str]) -> Any:
        """A request for one tag, or None if its namespace is not there."""
        namespace, identifier = split_node(self._tags[position].options.node)
        if isinstance(namespace, str):
            if namespace not in namespaces:
                return None
            namespace = list(namespaces).index(namespace)
        return ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=ua.NodeId(identifier, namespace), AttributeId=ua.AttributeIds.Value),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=ua.MonitoringParameters(
                ClientHandle=position,
                SamplingInterval=self._options.sampling * 1000,
                QueueSize=self._options.queue,
                DiscardOldest=True,
            ),
        )

    async def _create_items(self, requests: Sequence[Any]) -> list[bool]:
        """Whether the server took each; halves what is more than it takes in one call."""
        parameters = ua.CreateMonitoredItemsParameters(
            SubscriptionId=self._id, TimestampsToReturn=ua.TimestampsToReturn.Both, ItemsToCreate=list(requests)
        )
        try:
            results = await self._client.uaclient.create_monitored_items(parameters)
        except BadTooManyOperations:
            if len(requests) == 1:
                raise
            middle = len(requests) // 2
            return [*await self._create_items(requests[:middle]), *await self._create_items(requests[middle:])]
        return [bool(result.StatusCode.is_good()) for result in results]
