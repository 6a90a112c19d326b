"""The members of the default bank, left out one at a time."""

from __future__ import annotations

from functools import partial

from benchmarks.analytics.run import Named, Unfit, ours
from models.anomaly.members import NAMES, build

BANK = "anomaly"


def without(member: str) -> Named:
    """The bank with all members but this one. Raises Unfit when there is no such member."""
    if member not in NAMES:
        raise Unfit(f"no member {member!r}; there are {', '.join(NAMES)}")
    return ours(BANK, build=partial(build, without=(member,)), label=f"{BANK} without {member}")
