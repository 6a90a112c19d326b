"""asyncua's subscription with one call per publish response.

The library's own path makes an event object, and for handlers a task, for each change; that is half of its cost and
loses the order. `publish_callback` is the hook the server session calls; a test pins it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from asyncua import ua
from asyncua.common.subscription import Subscription

from drivers.opcua.values import to_batch
from gateway.contract import Batch

BUFFER_READINGS = 200_000


class ColumnSubscription(Subscription):
    """Keeps what arrives as batches, oldest dropped and counted beyond `BUFFER_READINGS`.

    index_of   client handle -> tag index, filled as items are created
    """

    def __init__(
        self,
        session: object,
        parameters: ua.CreateSubscriptionParameters,
        *,
        now_ns: Callable[[], int],
        dropped: Callable[[str, int], None],
    ) -> None:
        super().__init__(session, parameters, None, queue_maxsize=1)
        self.index_of: dict[int, int] = {}
        self.arrived = asyncio.Event()
        self.last_response = time.monotonic()
        self.ended = ""
        self._now_ns, self._dropped = now_ns, dropped
        self._batches: deque[Batch] = deque()
        self._readings = 0

    async def publish_callback(self, publish_result: ua.PublishResult) -> None:
        self.last_publish_at = self.last_response = time.monotonic()
        message = publish_result.NotificationMessage
        for notification in message.NotificationData or ():
            if isinstance(notification, ua.DataChangeNotification):
                self._keep(to_batch(notification.MonitoredItems, self.index_of, self._now_ns()))
            elif isinstance(notification, ua.StatusChangeNotification):
                self.ended = f"the server ended the subscription: {notification.Status}"
                self.arrived.set()

    def put(self, batch: Batch) -> None:
        """A batch of ours, for example of refused nodes."""
        self._keep(batch)

    def take(self) -> list[Batch]:
        taken = list(self._batches)
        self._batches.clear()
        self._readings = 0
        self.arrived.clear()
        return taken

    def _keep(self, batch: Batch) -> None:
        if not len(batch):
            return
        self._batches.append(batch)
        self._readings += len(batch)
        while self._readings > BUFFER_READINGS and len(self._batches) > 1:
            lost = len(self._batches.popleft())
            self._readings -= lost
            self._dropped("buffer_full", lost)
        self.arrived.set()
