"""The members of the default bank, left out one at a time."""

from __future__ import annotations

from functools import partial

from benchmarks.analytics.run import Named, Unfit, ours

BANK = "anomaly"


def names() -> tuple[str, ...]:
    """What `models.anomaly.members` names. Raises Unfit when this version has no members."""
    try:
        from models.anomaly import members
    except ImportError:
        raise Unfit("models.anomaly has no members to leave out") from None
    return tuple(members.NAMES)


def without(member: str) -> Named:
    """The bank with all members but this one. Raises Unfit when there is no such member."""
    if member not in names():
        raise Unfit(f"no member {member!r}; there are {', '.join(names())}")
    from models.anomaly import members

    return ours(BANK, build=partial(members.build, without=(member,)), label=f"{BANK} without {member}")
