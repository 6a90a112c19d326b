"""The folder: which files are complete, and where they go afterwards. Blocks on the disk; raises OSError."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

from drivers.files.config import FilesOptions

DAY_NS = 86_400_000_000_000
_NEVER_SET_NS = 1_420_070_400_000_000_000  # 2015-01-01
MOST_COUNTED = 1_000
_WHY = ".why"
_LONGEST_NAME = 255
"""In bytes. FAT says 1,530, and means characters; encrypted shares have room for 143."""


class Folder:
    """Remembers of each file since when it has not changed; that is all it remembers."""

    def __init__(self, options: FilesOptions) -> None:
        self._options = options
        self.path = Path(options.files)
        self._done, self._failed = self.path / "done", self.path / "failed"
        self._seen: dict[str, tuple[int, int, float]] = {}

    def prepare(self) -> None:
        """Raises FileNotFoundError where there is no such folder: who mounts it late must not find us in the mount point."""
        if not self.path.is_dir():
            raise FileNotFoundError(2, "no such folder")
        for folder in (self._done, self._failed):
            folder.mkdir(exist_ok=True)
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise PermissionError(13, "not writable: files that were taken must be moved")

    def complete(self, monotonic: float) -> list[str]:
        """Names of the files to be read, in order."""
        found, present = [], set()
        with os.scandir(self.path) as entries:
            for entry in entries:
                present.add(entry.name)
                if self._is_ours(entry):
                    found.append(entry)
        times = {entry.name: stat for entry in found if (stat := _stat(entry)) is not None}
        if (marker := self._options.marker) is not None:
            ready = [name for name in times if f"{name}{marker}" in present]
        else:
            self._look(times, monotonic)
            ready = [name for name in times if monotonic - self._seen[name][2] >= self._options.settle]
        return sorted(ready, key=lambda name: (times[name].st_mtime_ns, name) if self._options.order == "mtime" else (0, name))

    def unsettle(self, name: str) -> None:
        """It changed while it was read."""
        self._seen.pop(name, None)

    def done(self, name: str, now_ns: int) -> None:
        self._move(name, self._target(name, self._done, now_ns))

    def failed(self, name: str, why: str, now_ns: int) -> None:
        """The reason first: a crash in between leaves a reason without a file, not a file without a reason."""
        target = self._target(name, self._failed, now_ns)
        if target.name != name:
            why = f"{why}\nIts name was {os.fsencode(name).decode(errors='replace')}"
        target.with_name(f"{target.name}{_WHY}").write_text(why + "\n", encoding="utf-8")
        self._move(name, target)

    def count_failed(self) -> int:
        """Up to `MOST_COUNTED`."""
        with os.scandir(self._failed) as entries:
            names = [entry.name for _, entry in zip(range(2 * MOST_COUNTED), entries, strict=False)]
        return min(sum(not name.endswith(_WHY) for name in names), MOST_COUNTED)

    def tidy(self, now_ns: int, *, leapt: bool = False) -> None:
        """Forget what was moved to done `keep_days` ago: a move sets the change time, and leaves the file's own alone.

        leapt   the clock did since the last time, so nobody knows how old anything is: all of it begins anew, as does what was moved
                before the clock was set
        """
        if self._options.keep_days is None:
            return
        oldest_ns = now_ns - self._options.keep_days * DAY_NS
        with os.scandir(self._done) as entries:
            for entry in entries:
                stat = _stat(entry) if entry.is_file(follow_symlinks=False) else None
                if stat is None or stat.st_ctime_ns >= oldest_ns:
                    continue
                if leapt or stat.st_ctime_ns < _NEVER_SET_NS:
                    os.utime(entry.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # which makes now its change time
                else:
                    Path(entry.path).unlink(missing_ok=True)

    def _is_ours(self, entry: os.DirEntry[str]) -> bool:
        """No folder, no link to somewhere else, no marker, nothing hidden."""
        marker = self._options.marker
        return (
            not entry.name.startswith(".")
            and fnmatchcase(entry.name, self._options.pattern)
            and not (marker is not None and entry.name.endswith(marker))
            and entry.is_file(follow_symlinks=False)
        )

    def _look(self, times: dict[str, os.stat_result], monotonic: float) -> None:
        seen = {}
        for name, stat in times.items():
            size, mtime_ns, since = self._seen.get(name, (-1, 0, monotonic))
            same = (size, mtime_ns) == (stat.st_size, stat.st_mtime_ns)
            seen[name] = (stat.st_size, stat.st_mtime_ns, since if same else monotonic)
        self._seen = seen

    def _move(self, name: str, target: Path) -> None:
        """The marker goes first: one that stayed behind would make the next file of this name complete too early."""
        if self._options.marker is not None:
            (self.path / f"{name}{self._options.marker}").unlink(missing_ok=True)
        (self.path / name).replace(target)
        self._seen.pop(name, None)

    def _target(self, name: str, where: Path, now_ns: int) -> Path:
        """The same name, but where it is taken already, or is so long that there is no room for that of its reason."""
        target = where / name
        most = min(_LONGEST_NAME, os.pathconf(where, "PC_NAME_MAX")) - len(_WHY)
        if _bytes(name) <= most and not target.exists():
            return target
        stem, end = target.stem, f"-{now_ns}{target.suffix}"
        if _bytes(end) > most:  # no suffix, but a name with a dot in it
            stem, end = name, f"-{now_ns}"
        while stem and _bytes(stem) + _bytes(end) > most:
            stem = stem[:-1]
        return target.with_name(f"{stem}{end}")


def _bytes(name: str) -> int:
    return len(os.fsencode(name))


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # taken away meanwhile
        return None
