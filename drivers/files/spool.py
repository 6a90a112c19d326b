"""From complete files to items, one file after the other. Blocks on the disk: one thread at a time calls it."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import msgspec

from drivers.files.config import FilesOptions
from drivers.files.folder import Folder
from drivers.files.progress import Progress, ProgressFile, begin, is_same
from drivers.files.reading import OpenFile
from drivers.rows.mapper import Mapper, Taken
from drivers.rows.row import Refused, Unreadable
from gateway.contract import Clock, Item

ROWS = 2_000
MOST_TOLD = 20
TIDY_SECONDS = 3600.0
LEAP_SECONDS = 3600.0


class _Current:
    """The file in work. `progress` counts what was read; what is on disk of it stands in the progress file."""

    def __init__(self, file: OpenFile, progress: Progress, size: int, mtime_ns: int) -> None:
        self.file, self.progress, self.size, self.mtime_ns = file, progress, size, mtime_ns
        self.broken: Unreadable | None = None
        self.ended = False


class Spool:
    """Raises OSError from everything but `close`.

    lost     rows that were refused since it was asked last
    waiting  files in ``failed``
    """

    def __init__(self, options: FilesOptions, state_dir: Path, mapper: Mapper, clock: Clock) -> None:
        self._options, self._mapper, self._clock = options, mapper, clock
        self._folder, self._kept = Folder(options), ProgressFile(state_dir)
        self._queue: deque[str] = deque()
        self._current: _Current | None = None
        self._begun: dict[str, Progress] = {}
        self._tidied, self._since = float("-inf"), clock.now_ns() / 1e9 - clock.monotonic()
        self.lost = self.waiting = 0

    def open(self) -> None:
        self._folder.prepare()
        self._queue.clear()
        kept = self._kept.load()
        if kept is not None and is_same(kept, self._folder.path / kept.name):
            self._begun[kept.name] = kept
            self._queue.append(kept.name)

    def next(self) -> list[Item]:
        """The next portion; empty: there is nothing to be read now."""
        while True:
            if self._current is None and not self._begin_one():
                return []
            if self._current is not None:
                if items := self._portion(self._current):
                    return items
                if self._current.ended:
                    self._finish(self._current)

    def commit(self) -> None:
        """Everything returned is on disk."""
        if self._current is not None:
            self._kept.save(self._current.progress)

    def close(self) -> None:
        if self._current is not None:
            self._current.file.close()
            self._current = None

    def _begin_one(self) -> bool:
        """False: there is none. A file that cannot be opened stays alone."""
        if not self._queue:
            self._look()
        if not self._queue:
            return False
        name = self._queue.popleft()
        path = self._folder.path / name
        form = self._options.form(name)
        if form is None:
            self._folder.failed(name, "what is in it is not known: say format: csv, json or ndjson", self._clock.now_ns())
            return True
        try:
            begun = self._begun.pop(name, None)
            progress = begun if begun is not None and is_same(begun, path) else begin(path)
            stat = path.stat()
            file = OpenFile(path, form, self._options, self._mapper.columns)
        except FileNotFoundError:  # taken away meanwhile
            return True
        except PermissionError as exc:
            self._folder.failed(name, f"cannot be read: {(exc.strerror or str(exc)).lower()}", self._clock.now_ns())
            return True
        self._current = _Current(file, progress, stat.st_size, stat.st_mtime_ns)
        self._skip(self._current, progress.rows)
        return True

    def _look(self) -> None:
        self._queue.extend(self._folder.complete(self._clock.monotonic()))
        self.waiting = self._folder.count_failed()
        if self._clock.monotonic() - self._tidied >= TIDY_SECONDS:
            self._tidied, since = self._clock.monotonic(), self._clock.now_ns() / 1e9 - self._clock.monotonic()
            self._folder.tidy(self._clock.now_ns(), leapt=abs(since - self._since) > LEAP_SECONDS)
            self._since = since

    def _skip(self, current: _Current, rows: int) -> None:
        while rows > 0 and not current.broken:
            got, current.broken = current.file.take(min(rows, ROWS))
            if not got:
                return
            rows -= len(got)

    def _portion(self, current: _Current) -> list[Item]:
        if current.ended or current.broken:
            current.ended = True
            return []
        rows, current.broken = current.file.take(ROWS)
        current.ended = not rows
        taken = Taken()
        for row in rows:
            if isinstance(row, Refused):
                taken.refused.append(row)
            else:
                self._mapper.take(row, current.mtime_ns, taken)
        before = current.progress
        current.progress = msgspec.structs.replace(
            before,
            rows=before.rows + len(rows),
            refused=before.refused + len(taken.refused),
            told=(*before.told, *(str(refused) for refused in taken.refused))[:MOST_TOLD],
        )
        self.lost += len(taken.refused)
        return taken.items()

    def _finish(self, current: _Current) -> None:
        """All it gave is on disk, for `next` was called again. One that has grown meanwhile is gone on with later."""
        current.file.close()
        self._current = None
        name, progress = current.progress.name, current.progress
        try:
            stat = (self._folder.path / name).stat()
        except FileNotFoundError:
            return
        if (stat.st_size, stat.st_mtime_ns) != (current.size, current.mtime_ns) and not current.broken:
            self._kept.save(progress)
            self._begun[name] = progress
            self._folder.unsettle(name)
            return
        if current.broken or progress.refused or not current.size:
            self._folder.failed(name, _why(progress, current.broken), self._clock.now_ns())
        else:
            self._folder.done(name, self._clock.now_ns())
        self._kept.clear()


def _why(progress: Progress, broken: Unreadable | None) -> str:
    """For whoever looks into ``failed``: what of it was taken, so that he does not give it twice, and what was not."""
    lines = [f"{progress.rows - progress.refused} rows were taken, {progress.refused} were not."]
    lines += progress.told
    if progress.refused > len(progress.told):
        lines.append(f"... and {progress.refused - len(progress.told)} more")
    if broken is not None:
        lines.append(f"Nothing was read from here on: {broken}")
    if not progress.rows and broken is None:
        lines.append("The file is empty.")
    return "\n".join(lines)
