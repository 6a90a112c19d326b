"""Idempotency keys of posts; they survive a restart."""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import msgspec

from gateway.contract import Clock

MOST_CHARACTERS = 200
_LEAP_NS = 1_000_000_000
"""What the date moves further than the time that passed is no leap up to here."""


class Kept(NamedTuple):
    """One line of the file.

    digest   of what was posted with the key
    t_ns     when it was on disk
    begun    it is not known to be on disk: `t_ns` is the time its rows were given, and have to be given again when it is repeated,
             for rows of another time would be another event
    leapt_ns by how much the clock was set since: a key ages by the time that passes, not by the date
    """

    key: str
    digest: str
    t_ns: int
    begun: bool = False
    leapt_ns: int = 0


class Keys:
    """The file is appended to and brought to disk before a post is answered; when half of it is old it is written anew.

    While nobody runs only the date can say how long that was; a leap that ends it keeps a key for longer, never for shorter.

    Not thread safe: one thread at a time. `load` and `add` block on the disk and raise OSError.
    """

    def __init__(self, path: Path, clock: Clock, *, most: int, age_ns: int) -> None:
        self._path, self._clock, self._most, self._age_ns = path, clock, most, age_ns
        self._known: dict[str, Kept] = {}
        self._lines = 0
        self._offset_ns = 0  # of the date from the time that passes, as `_known` goes by it

    def get(self, key: str) -> Kept | None:
        kept = self._known.get(key)
        return kept if kept is not None and not kept.begun and self._age(kept) <= self._age_ns else None

    def begun_ns(self, key: str, digest: str) -> int | None:
        """The time that rows of this post were given before it was cut off; None: it was not begun."""
        kept = self._known.get(key)
        return kept.t_ns if kept is not None and kept.begun and kept.digest == digest else None

    def load(self) -> None:
        """A line that was cut off by a crash belongs to a post that was not answered: it is left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            lines = []
        now_ns, self._offset_ns = self._clock.now_ns(), self._offset()
        found = (kept for line in lines if (kept := _kept(line)) is not None)
        # One of the future was kept before the clock was set back: from now on it ages.
        self._known = {kept.key: kept._replace(leapt_ns=min(kept.leapt_ns, now_ns - kept.t_ns)) for kept in found}
        self._forget()
        self._write_anew()

    def follow(self) -> None:
        """Note a leap of the clock, if there was one: a later run could not know of it. Raises OSError."""
        leapt_ns = self._leapt()
        if abs(leapt_ns) > _LEAP_NS:
            self._offset_ns += leapt_ns
            self._known = {key: kept._replace(leapt_ns=kept.leapt_ns + leapt_ns) for key, kept in self._known.items()}
            self._write_anew()

    def add(self, fresh: Iterable[Kept]) -> None:
        fresh = list(fresh)
        self.follow()
        with self._path.open("ab") as file:
            file.write(b"".join(_line(kept) for kept in fresh))
            file.flush()
            os.fsync(file.fileno())
        self._lines += len(fresh)
        for kept in fresh:
            self._known.pop(kept.key, None)
            self._known[kept.key] = kept
        self._forget()
        if self._lines > 2 * max(len(self._known), 500):
            self._write_anew()

    def _offset(self) -> int:
        return self._clock.now_ns() - round(self._clock.monotonic() * 1e9)

    def _leapt(self) -> int:
        """How far the clock was set since `_known` was brought in line with it."""
        return self._offset() - self._offset_ns

    def _age(self, kept: Kept) -> int:
        return self._clock.now_ns() - self._leapt() - kept.t_ns - kept.leapt_ns

    def _forget(self) -> None:
        while self._known:
            oldest = next(iter(self._known.values()))
            if len(self._known) <= self._most and self._age(oldest) <= self._age_ns:
                return
            del self._known[oldest.key]

    def _write_anew(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(b"".join(_line(kept) for kept in self._known.values()))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._lines = len(self._known)


def digest(content_type: str, body: bytes) -> str:
    return blake2b(body, digest_size=16, key=content_type.encode()[:64]).hexdigest()


def _line(kept: Kept) -> bytes:
    """Without a leap as it was before there were any: an older lineside reads it."""
    return msgspec.json.encode(kept if kept.leapt_ns else kept[:-1]) + b"\n"


def _kept(line: bytes) -> Kept | None:
    try:
        return msgspec.json.decode(line, type=Kept)
    except msgspec.DecodeError:
        return None
