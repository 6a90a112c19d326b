"""Quality of a reading: one byte, good, uncertain, or bad with its reason.

A bad reading carries NaN. It is counted by reason, kept as evidence, and neither scored nor learnt.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Quality(IntEnum):
    """The values are ours and stable: they are stored and exported."""

    GOOD = 0
    UNCERTAIN = 1
    GATEWAY_TIME = 2  # the device's clock is implausible, so by rule the time is the gateway's
    LATE = 3  # older than what its tag said before, beyond what is put in order
    BACKFILLED = 4  # good, read later from the device's own history
    CLOCK = 5  # good, but stamped by the gateway before its own clock could be trusted
    BAD = 16  # bad, and the source gave no reason
    BAD_DEVICE = 17  # the device refused this address or node
    BAD_TYPE = 18  # text where a number should be
    BAD_FORMAT = 19  # the payload is not what the configuration says
    BAD_LENGTH = 20  # too short, too long
    BAD_NOT_FINITE = 21  # NaN or infinity from the device
    BAD_TIME = 22  # a time no clock of today shows
    BAD_RANGE = 23  # outside the tag's physical range
    BAD_STUCK = 24  # has not moved for longer than it may
    BAD_SPIKE = 25  # further from the reading before it than the tag can move, and no second one agrees with it


GOOD: Final = int(Quality.GOOD)
UNCERTAIN: Final = int(Quality.UNCERTAIN)
BAD: Final = int(Quality.BAD)


def reason(quality: int) -> str:
    """Name a quality the way counters do: ``17`` is ``"device"``, ``0`` is ``"good"``."""
    return Quality(quality).name.removeprefix("BAD_").lower()
