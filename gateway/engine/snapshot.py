"""Detector state on disk: checksummed, replaced atomically, never a pickle."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

from gateway.contract import Clock
from gateway.durable import write

log = logging.getLogger("lineside")
_MAGIC, _LEAPT = b"LSSTATE1", b"LSSTATE2"
"""The second has eight bytes more in front of the state: by how much the clock had been put right, see `Snapshots`."""
_HEADER = len(_MAGIC) + 4


BYTES_A_DAY = 10e6
"""For all states together: what is written is what wears out a card."""
_OVERHEAD = 64 << 10
"""Bytes that a file system with a journal writes beside each file."""
_SOONEST, _LATEST = 60.0, 3600.0


class Pace:
    """Which states are to be saved now: what spoke since, within a minute; what only went on learning, as often as a day's bytes allow."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._saved: dict[str, tuple[float, int, int]] = {}

    def due(self, name: str, *, spoke: bool) -> bool:
        """`spoke`: it found something since it was saved, so after a crash its state of before would not fit its incidents."""
        if spoke or name not in self._saved:
            return True
        return self._clock.monotonic() - self._saved[name][0] >= self.seconds()

    def seconds(self) -> float:
        """Between two times that all are saved."""
        size = sum(size + _OVERHEAD for _, size, _ in self._saved.values())
        return min(_LATEST, max(_SOONEST, size / BYTES_A_DAY * 86_400.0))

    def changed(self, name: str, state: bytes) -> bool:
        """What is the same as on the disk is not written again."""
        return name not in self._saved or self._saved[name][2] != crc32(state)

    def saved(self, name: str, state: bytes) -> None:
        """It is on the disk."""
        self._saved[name] = self._clock.monotonic(), len(state), crc32(state)


class Snapshots:
    """One file per watch in `folder`. A damaged file is the same as none, but it is told.

    put_right_ns   by how much the gateway's clock was put right so far, all in all
    """

    def __init__(self, folder: Path, put_right_ns: Callable[[], int] = lambda: 0) -> None:
        self._folder, self.put_right_ns = folder, put_right_ns

    def load(self, name: str) -> bytes | None:
        path = self._path(name)
        problem: str | None
        try:
            raw = path.read_bytes()
            problem = _problem(raw)
        except FileNotFoundError:
            return None
        except OSError as exc:
            problem = exc.strerror
        if problem is None:
            return raw[_HEADER + 8 :] if raw.startswith(_LEAPT) else raw[_HEADER:]
        log.warning("detector state damaged, starting fresh", extra={"fields": {"watch": name, "file": path.name, "why": problem}})
        return None

    def ahead_ns(self, name: str) -> int:
        """By how much the clock was ahead of today's when the state that is there was taken; negative: behind."""
        raw = self._path(name).read_bytes()
        then_ns = int.from_bytes(raw[_HEADER : _HEADER + 8], "big", signed=True) if raw.startswith(_LEAPT) else 0
        return then_ns - self.put_right_ns()

    def save(self, name: str, state: bytes, put_right_ns: int = 0) -> None:
        """After a power cut either the old or the new state is there.

        put_right_ns   as it was when the state was taken
        raises OSError   the disk is full or refuses; the old state is untouched
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        magic, body = (_LEAPT, put_right_ns.to_bytes(8, "big", signed=True) + state) if put_right_ns else (_MAGIC, state)
        write(self._path(name), magic + crc32(body).to_bytes(4, "big") + body, mode=0o644)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.state"


def _problem(raw: bytes) -> str | None:
    if raw[: len(_MAGIC)] not in (_MAGIC, _LEAPT) or len(raw) < _HEADER:
        return "not a state file"
    return None if crc32(raw[_HEADER:]) == int.from_bytes(raw[len(_MAGIC) : _HEADER], "big") else "checksum"
