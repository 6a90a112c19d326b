"""The gateway's own time: the wall clock while it can be trusted, else kept by the time since the boot.

trusted   it follows the wall clock, and small steps of it (a second) without a word
not_yet   since the boot nothing has confirmed the wall clock, or it shows what cannot be. Time goes on from the later of the wall clock
          and what was last seen: too early, but after all that happened before
stepped   the wall clock was set while the gateway ran. Time goes on as if it was not, until the clock is synchronised, or was left
          there for `wait_seconds`, or goes back

So nothing in the gateway sees a jump, but where a new time is adopted, which whoever `look`s is told.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from gateway.clock import record
from gateway.clock.record import Record, State
from gateway.clock.signs import BUILT_NS, Signs, boot_id, since_boot_ns
from gateway.clock.system import SystemClock

STEP_NS = 1_000_000_000
"""What the wall clock may move by without anybody being told: more than a leap second takes is a step."""
_OFF_NS = 60_000_000_000
_RTC_NS = 25 * 3_600_000_000_000  # a battery-backed clock may keep local time


class Adopted(NamedTuple):
    """From now on another time holds: `was` was the state, and the gateway's time went from `from_ns` to `to_ns`."""

    was: State
    from_ns: int
    to_ns: int
    by: str

    @property
    def delta_ns(self) -> int:
        return self.to_ns - self.from_ns


def gateway_now_ns(folder: Path) -> int:
    """What the clock of the gateway with this state folder shows, for commands beside it: it may not be the system's."""
    known = record.load(folder)
    if known.state == "trusted" or not known.boot or known.boot != boot_id():
        return time.time_ns()
    return known.offset_ns + since_boot_ns()


class KeptClock(SystemClock):
    """Until `open`, the wall clock as it is.

    trust   auto: see `_sign`; ntp: only a synchronised clock; always: whatever it shows
    """

    def __init__(self, signs: Signs | None = None, *, trust: str = "auto", wait_seconds: float = 600.0) -> None:
        self._signs = signs or Signs()
        self._since_boot_ns = self._signs.since_boot_ns
        self.trust, self.wait_seconds = trust, wait_seconds
        self.state: State = "trusted"
        self.by = ""
        self.since_ns = 0
        """Time since the boot at the last change of state."""
        self.steps = 0
        self._offset_ns: int | None = None
        self._wall_offset_ns = self._floor_ns = 0
        self._set_at: int | None = None

    def now_ns(self) -> int:
        offset = self._offset_ns
        return time.time_ns() if offset is None else offset + self._since_boot_ns()

    @property
    def offset_ns(self) -> int:
        """Its time less the time since the boot; 0 until `open`."""
        return self._offset_ns or 0

    @property
    def trusted(self) -> bool:
        return self.state == "trusted"

    @property
    def seconds(self) -> float:
        """In this state."""
        return (self._signs.since_boot_ns() - self.since_ns) / 1e9

    @property
    def wall_ns(self) -> int:
        """What the operating system shows, whatever it is worth."""
        return self._signs.wall_ns()

    @property
    def boot_id(self) -> str:
        return self._signs.boot_id()

    def open(self, known: Record, alive_ns: int = 0) -> None:
        """Go on after what was. `alive_ns`: when the gateway was last seen running, by another witness."""
        wall_ns, boot_ns = self._signs.wall_ns(), self._signs.since_boot_ns()
        self._floor_ns = max(BUILT_NS, known.seen_ns, alive_ns)
        self._wall_offset_ns, self.steps = wall_ns - boot_ns, known.steps
        if known.boot and known.boot == self._signs.boot_id():
            self._offset_ns = known.offset_ns
            self._become("not_yet" if known.state == "not_yet" else "trusted", known.by)
            return
        by = self._sign(wall_ns, boot_ns, known=bool(known.seen_ns))
        self._offset_ns = (wall_ns if by else max(wall_ns, self._floor_ns)) - boot_ns
        self._become("trusted" if by else "not_yet", by)

    def kept(self, known: Record) -> Record:
        """Write into it what the next start has to know."""
        known.boot, known.offset_ns, known.seen_ns = self._signs.boot_id(), self.offset_ns, self.now_ns()
        known.state, known.by, known.steps = self.state, self.by, self.steps
        return known

    def due(self) -> str:
        """Compare with the wall clock, once a second. Why another time is to be adopted now; empty: it is not."""
        wall_ns, boot_ns = self._signs.wall_ns(), self._signs.since_boot_ns()
        offset = wall_ns - boot_ns
        moved = abs(offset - self._wall_offset_ns) > STEP_NS
        self._wall_offset_ns = offset
        if moved:
            self.steps, self._set_at = self.steps + 1, boot_ns
        if self._offset_ns is None:
            return ""
        if self.state == "not_yet":
            return self._sign(wall_ns, boot_ns) or self._settled(wall_ns, boot_ns)
        if abs(offset - self._offset_ns) <= STEP_NS:
            self._offset_ns = offset
            self.by = self._confirmed(wall_ns) or self.by
            if self.state == "stepped":
                self._become("trusted", self.by)
            return ""
        if self.state == "trusted":
            self._set_at = boot_ns
            self._become("stepped", self.by)
        return self._confirmed(wall_ns) or self._settled(wall_ns, boot_ns)

    def adopt(self, by: str) -> Adopted:
        """The wall clock's time holds from now on."""
        was, from_ns = self.state, self.now_ns()
        self._offset_ns = self._signs.wall_ns() - self._signs.since_boot_ns()
        self._become("trusted", by)
        return Adopted(was, from_ns, self.now_ns(), by)

    def _become(self, state: State, by: str) -> None:
        self.state, self.by, self.since_ns = state, by, self._signs.since_boot_ns()

    def _confirmed(self, wall_ns: int) -> str:
        """By somebody who knows better than we do."""
        if self.trust == "always":
            return "configuration"
        return "ntp" if wall_ns >= BUILT_NS and (self._signs.synchronised() or self._marked(wall_ns)) else ""

    def _marked(self, wall_ns: int) -> bool:
        """Somebody said so since the boot, and since the clock was last set."""
        since = 0 if self._set_at is None or self.state == "not_yet" else wall_ns - self._signs.since_boot_ns() + self._set_at
        return since < self._signs.marked_ns() <= wall_ns + STEP_NS

    def _settled(self, wall_ns: int, boot_ns: int) -> str:
        """Somebody set it, it can be right, and it was left so."""
        waited = self._set_at is not None and boot_ns - self._set_at >= self.wait_seconds * 1e9
        return "set" if waited and self.trust != "ntp" and wall_ns >= BUILT_NS else ""

    def _sign(self, wall_ns: int, boot_ns: int, *, known: bool = True) -> str:
        """What makes a clock trusted after a boot: NTP; a battery-backed clock that agrees; that it was set since; or, where there is
        none of them, that it shows a time so long after the last one seen that it was not restored from a file.

        known   the gateway has run here before
        """
        if (by := self._confirmed(wall_ns)) or self.trust == "ntp" or wall_ns < self._floor_ns:
            return by
        rtc = self._signs.rtc_ns()
        if rtc is not None:
            return "rtc" if rtc >= BUILT_NS and abs(rtc - wall_ns) <= _RTC_NS else ""
        if self._set_at is not None:
            return "set"
        return "plausible" if not known or wall_ns - boot_ns - self._floor_ns >= _OFF_NS else ""
