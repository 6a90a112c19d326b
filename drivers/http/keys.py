"""Idempotency keys of posts; they survive a restart."""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import msgspec

MOST_CHARACTERS = 200


class Kept(NamedTuple):
    """One line of the file.

    digest   of what was posted with the key
    t_ns     when it was on disk
    begun    it is not known to be on disk: `t_ns` is the time its rows were given, and have to be given again when it is repeated,
             for rows of another time would be another event
    """

    key: str
    digest: str
    t_ns: int
    begun: bool = False


class Keys:
    """The file is appended to and brought to disk before a post is answered; when half of it is old it is written anew.

    Not thread safe: one thread at a time. `load` and `add` block on the disk and raise OSError.
    """

    def __init__(self, path: Path, *, most: int, age_ns: int) -> None:
        self._path, self._most, self._age_ns = path, most, age_ns
        self._known: dict[str, Kept] = {}
        self._lines = 0

    def get(self, key: str, now_ns: int) -> Kept | None:
        kept = self._known.get(key)
        return kept if kept is not None and not kept.begun and now_ns - kept.t_ns <= self._age_ns else None

    def begun_ns(self, key: str, digest: str) -> int | None:
        """The time that rows of this post were given before it was cut off; None: it was not begun."""
        kept = self._known.get(key)
        return kept.t_ns if kept is not None and kept.begun and kept.digest == digest else None

    def load(self, now_ns: int) -> None:
        """A line that was cut off by a crash belongs to a post that was not answered: it is left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            lines = []
        self._known = {kept.key: kept for line in lines if (kept := _kept(line)) is not None}
        self._forget(now_ns)
        self._write_anew()

    def add(self, fresh: Iterable[Kept], now_ns: int) -> None:
        fresh = list(fresh)
        with self._path.open("ab") as file:
            file.write(b"".join(_line(kept) for kept in fresh))
            file.flush()
            os.fsync(file.fileno())
        self._lines += len(fresh)
        for kept in fresh:
            self._known.pop(kept.key, None)
            self._known[kept.key] = kept
        self._forget(now_ns)
        if self._lines > 2 * max(len(self._known), 500):
            self._write_anew()

    def _forget(self, now_ns: int) -> None:
        while self._known:
            oldest = next(iter(self._known.values()))
            if len(self._known) <= self._most and now_ns - oldest.t_ns <= self._age_ns:
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
    return msgspec.json.encode(kept) + b"\n"


def _kept(line: bytes) -> Kept | None:
    try:
        return msgspec.json.decode(line, type=Kept)
    except msgspec.DecodeError:
        return None
