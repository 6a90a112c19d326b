"""Plays a recording at its own pace, faster, or as fast as it goes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from drivers.replay.arrays import NpzRecording
from drivers.replay.config import ReplayOptions
from drivers.replay.recording import Piece, Recording
from drivers.replay.table import CsvRecording
from gateway.contract import Batch, ConfigError, EndOfSource, Item, NotConnected, SourceContext

TICK_SECONDS = 0.01  # readings that come closer than this are delivered together


class ReplaySource:
    """See README.md. Each `connect` begins at the file's first line; the disk is read on asyncio's executor."""

    def __init__(self, options: ReplayOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self._opening: asyncio.Future[Recording] | None = None
        self._recording: Recording | None = None
        self._loading: asyncio.Future[Piece | None] | None = None
        self._piece: Piece | None = None
        self._begin: tuple[float, int] | None = None

    async def connect(self) -> None:
        path = Path(self._options.replay)
        try:
            self._opening = asyncio.ensure_future(asyncio.to_thread(self._open, path))
            self._recording = await asyncio.shield(self._opening)
        except FileNotFoundError as exc:
            if not path.is_absolute():
                raise ConfigError(f"no such file: {Path.cwd() / path} (a relative path is taken from the working directory)") from exc
            raise NotConnected(str(path), "no such file") from exc
        except OSError as exc:
            raise NotConnected(str(path), (exc.strerror or str(exc)).lower()) from exc
        self._piece, self._begin = None, None

    async def read(self) -> Item:
        while True:
            if self._piece is None:
                self._piece = await self._load()
            item = self._due(self._piece)
            if item is not None:
                return item
            if self._piece is not None:
                await self._context.clock.sleep(max(TICK_SECONDS, self._wait_seconds(self._piece)))

    async def close(self) -> None:
        opening, self._opening = self._opening, None
        loading, self._loading = self._loading, None
        self._recording = self._piece = None
        busy = [task for task in (opening, loading) if task is not None]
        if busy:
            await asyncio.wait(busy)  # after a cancelled call the thread may still have the file in its hands
        if loading is not None:
            loading.exception()  # what it failed at nobody asks any more
        if opening is not None and opening.exception() is None:
            opening.result().close()

    def _open(self, path: Path) -> Recording:
        if path.suffix.lower() == ".npz":
            return NpzRecording(path, self._context.tags)
        return CsvRecording(path, self._options.time, self._context.tags, ZoneInfo(self._options.timezone))

    async def _load(self) -> Piece:
        """The next piece. A cancelled read leaves it to the next one."""
        if self._recording is None:
            raise NotConnected(self._options.replay, "not open")
        if self._loading is None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(self._recording.take))
        try:
            piece = await asyncio.shield(self._loading)
        except OSError as exc:  # the disk is gone, or the share
            raise NotConnected(self._options.replay, (exc.strerror or str(exc)).lower()) from exc
        self._loading = None
        if piece is None:
            raise EndOfSource(f"{self._options.replay} is at its end")
        if piece.lost:
            self._context.dropped("bad_line", piece.lost)
        return piece

    def _due(self, piece: Piece) -> Item | None:
        """What is due of `piece`; the rest stays for later."""
        if isinstance(piece.item, Batch) and not len(piece.item):
            self._piece = None
            return None
        ready = int(np.searchsorted(piece.due_ns, self._now_ns(piece), side="right")) if self._options.speed else len(piece.due_ns)
        if ready == len(piece.due_ns):
            self._piece = None
            return piece.item
        if ready == 0 or not isinstance(piece.item, Batch):
            return None
        self._piece = Piece(piece.item.select(np.arange(ready, len(piece.item))), piece.due_ns[ready:])
        return piece.item.select(np.arange(ready))

    def _now_ns(self, piece: Piece) -> int:
        """Time of the recording: its first piece is due at once, whenever that is."""
        monotonic = self._context.clock.monotonic()
        if self._begin is None:
            self._begin = monotonic, int(piece.due_ns[0])
        began, first_ns = self._begin
        return first_ns + round((monotonic - began) * self._options.speed * 1e9)

    def _wait_seconds(self, piece: Piece) -> float:
        return float(int(piece.due_ns[0]) - self._now_ns(piece)) / 1e9 / self._options.speed
