"""What the engineer sets, in seconds, and what is fixed."""

from __future__ import annotations

from dataclasses import dataclass

DAY_NS = 86_400 * 10**9
TICK_NS = 10**9  # a machine's time goes in steps of this; what is judged across its tags is judged between two of them
MOST_WEIGHT = 0.1  # of one reading in a share: of a tag that is read once in an hour three bad ones in a row are needed
WELL = 3  # good readings, at least, before a trouble is over
TURNS = 61  # tags that started together take turns with their first opinion
SLOW = 1 / 256  # weight of one reading in its usual interval
MOVES = 64  # moves that make a size, a run and a block of the resolution
NEARLY_EACH = 1.25  # readings per move of a tag that moves at nearly each reading
STILL_RUNS = 60.0  # times its usual readings per move without a move, and
STILL_MOST = 5.0  # times the longest stretch without a move that it is known for: stuck
LONGEST_RUN = 50.0  # readings a stretch counts in the usual ones, at most
RESTS = 10  # readings without a move: at rest, as the neighbours see it
QUIET = 3.32  # octaves (a tenth) below the smallest usual moves
QUIET_STILL = 2.32  # and this (a fifth) is still quiet
COARSE = 3.0  # octaves above the usual resolution
LEVELS = 4.0  # that a block has to span: two levels are a switch, not a converter
EXACT = 2.0**-20  # of the value: below, a difference is rounding (float32 has 2^-24)
FAR = 20.0  # times the usual move: a jump
BACK = 0.2  # of the jump: so near to where it was before, it is back
FEW = 2.5  # fading spikes within `SPIKES_SECONDS` that are told: three of them, at least
SPIKES_SECONDS = 3_600.0
SPIKES_READINGS = 60.0  # intervals: spikes of a slow tag are counted over this many
GAP_INTERVALS, GAP_LONGEST, GAP_SECONDS = 20.0, 3.0, 60.0
REGULAR = 3.0  # times its usual interval, the longest of a tag that comes regularly
PATIENCE = 3.0  # times its usual pace a machine may pause without having been silent
LATE_READINGS, LATE_PER_TAG, LATE_OVER = 50, 4, 0.25
LATE_HOLD_SECONDS = 60.0
LARGEST = 1e300  # differences must stay finite


@dataclass(frozen=True, slots=True)
class Settings:
    """`SensorOptions` in seconds."""

    bad_share: float = 0.2
    window: float = 600.0
    warm_up: float = 86_400.0
    warm_up_readings: int = 300
    memory: float = 604_800.0

    @property
    def window_ns(self) -> int:
        return int(self.window * 1e9)
