"""The bounded queue between one source and the pipeline."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gateway.contract import Batch, Item, Record, Waveform
from gateway.engine.order import Reorder

MAX_READINGS = 200_000
MAX_WAVEFORM_SAMPLES = 4_000_000
MAX_RECORDS = 10_000


@dataclass(frozen=True, slots=True)
class Emitted:
    """An item on its way; `accepted` resolves when what it caused is on disk (records only)."""

    item: Item
    accepted: asyncio.Future[None] | None = None


class Inbox:
    """Readings and blocks may be dropped, oldest first, or make the source wait; records always make it wait.

    wake      called after something came in
    took      number of readings that came in
    dropped   (what: ``readings`` or ``waveforms``, reason, how many)
    reorder   holds readings behind the queue until they are due
    admit     raises what `emit` raises for an item that its source may not give
    """

    def __init__(
        self,
        when_full: Literal["drop_oldest", "block"],
        *,
        wake: Callable[[], None],
        took: Callable[[int], None],
        dropped: Callable[[str, str, int], None],
        reorder: Reorder | None = None,
        admit: Callable[[Item], None] = lambda _item: None,
    ) -> None:
        self.reorder = reorder
        self._admit = admit
        self._when_full, self._wake, self._took, self._dropped = when_full, wake, took, dropped
        self._items: deque[Emitted] = deque()
        self._room = asyncio.Event()
        self._given: list[asyncio.Future[None]] | None = None
        self.readings = self.samples = self.records = 0
        self.received = 0
        """Readings, blocks and messages since the source was started."""

    async def emit(self, items: list[Item]) -> None:
        """Returns when the readings are queued and what the records caused is on disk."""
        self._given, waiting = None, []
        for item in items:
            self._admit(item)
            while self._full(item) and (self._when_full == "block" or isinstance(item, Record)):
                self._room.clear()
                self._wake()
                await self._room.wait()
            waiting.append(self._put(item))
        if items:
            self._wake()
        self._given = [accepted for accepted in waiting if accepted is not None]
        for accepted in self._given:
            if not accepted.done():
                await asyncio.shield(accepted)

    async def accepted(self, seconds: float) -> bool:
        """After an `emit` that was cancelled: wait, at most so long. True: all of it came in after all, and what it caused is on disk."""
        if self._given:
            await asyncio.wait(self._given, timeout=seconds)
        return self._given is not None and all(accepted.done() for accepted in self._given)

    def take(self) -> list[Emitted]:
        """Everything queued."""
        taken = list(self._items)
        self._items.clear()
        self.readings = self.samples = self.records = 0
        self._room.set()
        return taken

    def _full(self, item: Item) -> bool:
        """What is larger than the whole queue fits when nothing of its kind is in it."""
        if isinstance(item, Batch):
            return self.readings > 0 and self.readings + len(item) > MAX_READINGS
        if isinstance(item, Waveform):
            return self.samples > 0 and self.samples + len(item.samples) > MAX_WAVEFORM_SAMPLES
        return self.records >= MAX_RECORDS

    def _put(self, item: Item) -> asyncio.Future[None] | None:
        while self._full(item):
            self._drop_oldest(type(item))
        accepted = asyncio.get_running_loop().create_future() if isinstance(item, Record) else None
        self._items.append(Emitted(item, accepted))
        self._weigh(item, 1)
        self.received += len(item) if isinstance(item, Batch) else 1
        if isinstance(item, Batch):
            self._took(len(item))
        return accepted

    def _drop_oldest(self, kind: type) -> None:
        for position, entry in enumerate(self._items):
            if type(entry.item) is kind:
                del self._items[position]
                self._weigh(entry.item, -1)
                if isinstance(entry.item, Batch):
                    self._dropped("readings", "queue_full", len(entry.item))
                else:
                    self._dropped("waveforms", "queue_full", 1)
                return

    def _weigh(self, item: Item, sign: int) -> None:
        if isinstance(item, Batch):
            self.readings += sign * len(item)
        elif isinstance(item, Waveform):
            self.samples += sign * len(item.samples)
        else:
            self.records += sign
