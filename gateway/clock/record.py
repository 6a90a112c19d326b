"""`clock.json` in the state directory: what the next start has to know of the time before."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from gateway.durable import write

FILE_NAME = "clock.json"
MOST = 100
"""Stretches that are remembered; the outbox forgets what they are about long before."""

State: TypeAlias = Literal["trusted", "not_yet", "stepped"]


class Shift(NamedTuple):
    """Events `first` to `last` were recorded by a clock that was `delta_ns` behind the one of today."""

    first: int
    last: int
    delta_ns: int


class Record(msgspec.Struct, kw_only=True):
    """
    boot          id of the boot that `offset_ns` is about
    offset_ns     the gateway's time less the time since the boot
    seen_ns       the gateway's time when this was written: it is not earlier now, unless somebody says so
    first         sequence of the first event of the stretch that is not trusted; 0: there is no such stretch now
    from_ns       when it began, by the time of then
    released      up to this sequence, events of it may have been sent as they are, so they stay so
    doubted       stretches of the sequence whose times nobody will ever confirm
    shifts        see `Shift`
    steps         how often the clock was set while the gateway ran
    leaps         how often a trusted one was, and was followed
    put_right_ns  by how much it was put right, all in all
    told_ns       the newest time that each machine has told
    """

    boot: str = ""
    offset_ns: int = 0
    state: State = "trusted"
    by: str = ""
    seen_ns: int = 0
    first: int = 0
    from_ns: int = 0
    released: int = 0
    doubted: list[tuple[int, int]] = []
    shifts: list[Shift] = []
    steps: int = 0
    leaps: int = 0
    put_right_ns: int = 0
    told_ns: dict[str, int] = {}

    def follow(self, boot: str, offset_ns: int, delta_ns: int) -> None:
        """What is stored has followed a leap, and then the power went before this was written."""
        if self.boot == boot:
            self.offset_ns, self.state = offset_ns, "trusted"
        if self.seen_ns:  # else the record is lost, or stayed with another machine
            self.seen_ns = max(0, self.seen_ns + delta_ns)
        self.put_right_ns += delta_ns
        self.told_ns = {}

    def note(self, number: int, last: int, delta_ns: int) -> None:
        """A trusted clock was set, for so many times now, and events up to `last` were recorded by the one of before."""
        self.leaps = number
        self.shifts.append(Shift(1, last, delta_ns))
        self.end_stretch(last, 0)

    def end_stretch(self, last: int, delta_ns: int) -> None:
        """What of the stretch that is not trusted was not put right stays in doubt."""
        if 0 < self.first <= last:
            self.doubted.append((self.first, last))
            if delta_ns:
                self.shifts.append(Shift(self.first, last, delta_ns))
        self.first = self.released = 0


def load(folder: Path) -> Record:
    """An empty one where there is none, or where it cannot be read."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return Record()


def save(folder: Path, body: bytes) -> None:
    """On disk when this returns. Raises OSError."""
    write(folder / FILE_NAME, body, mode=0o644)
