"""Subjects: ours, and whether a stream's patterns take them. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias
from urllib.parse import quote

from gateway.contract import Event
from gateway.events.codec import nats_subject, token

Coverage: TypeAlias = Literal["all", "some", "none"]


def subject_of(event: Event, prefix: str, *, own: bool) -> str:
    """Nine tokens; with `own` a tenth that no other event has.

    The event's id stays as it is but for what a subject may not hold: two ids never share a subject, else one of two events would be
    taken for a repeated one.
    """
    subject = nats_subject(event, prefix)
    return f"{subject}.{quote(event.id, safe='').replace('.', '%2E')}" if own else subject


def site_subjects(source: str, prefix: str) -> str:
    """What a gateway of this site publishes to, as a permission.

    >>> site_subjects("urn:lineside:acme:dresden:press-01", "evt.v1")
    'evt.v1.acme.dresden.>'
    """
    return ".".join([prefix, *map(token, source.split(":")[2:4]), ">"])


def our_pattern(source: str, prefix: str, *, own: bool) -> str:
    """
    >>> our_pattern("urn:lineside:acme:dresden:press-01", "evt.v1", own=True)
    'evt.v1.acme.dresden.*.*.*.*.*.*'
    """
    return site_subjects(source, prefix)[:-1] + ".".join("*" * (6 if own else 5))


def probe_subject(source: str, prefix: str, *, own: bool) -> str:
    """Shaped like an event's, which it never is.

    >>> probe_subject("urn:lineside:acme:dresden:press-01", "evt.v1", own=False)
    'evt.v1.acme.dresden._._._.gateway.probed'
    """
    return site_subjects(source, prefix)[:-1] + "_._._.gateway.probed" + (".probe" if own else "")


def feedback_subject(source: str) -> str:
    """With the names as they are, which are tokens already: whoever publishes takes them from an event.

    >>> feedback_subject("urn:lineside:acme:dresden:press-01")
    'fb.v1.dresden.press-01'
    """
    return ".".join(["fb.v1", *source.split(":")[3:5]])


def consumer_name(source: str) -> str:
    """
    >>> consumer_name("urn:lineside:acme:dresden:press-01")
    'lineside-press-01'
    """
    return f"lineside-{source.split(':')[4]}"


def coverage(patterns: list[str], ours: str) -> Coverage:
    """How much of `ours` (tokens and ``*``) the patterns take. Several that take all of it only together count as some.

    >>> coverage(["evt.>"], "evt.v1.acme.*"), coverage(["evt.v1.*"], "evt.v1.acme.*"), coverage(["evt.v1.acme.a"], "evt.v1.acme.*")
    ('all', 'none', 'some')
    """
    found = {_covers(pattern.split("."), ours.split(".")) for pattern in patterns}
    return "all" if "all" in found else "some" if "some" in found else "none"


def _covers(pattern: list[str], ours: list[str]) -> Coverage:
    open_ended = pattern[-1] == ">"
    fixed = pattern[:-1] if open_ended else pattern
    if len(ours) < len(fixed) + open_ended or (len(ours) != len(fixed) and not open_ended):
        return "none"
    pairs = list(zip(fixed, ours, strict=False))
    if any(theirs not in ("*", mine) and mine != "*" for theirs, mine in pairs):
        return "none"
    return "all" if all(theirs in ("*", mine) for theirs, mine in pairs) else "some"


def overlap(one: str, other: str) -> bool:
    """Whether a subject could match both; a stream may not have two such patterns.

    >>> overlap("evt.*.acme.>", "evt.v1.>"), overlap("fb.v1.>", "evt.v1.>")
    (True, False)
    """
    ones, others = one.split("."), other.split(".")
    for mine, theirs in zip(ones, others, strict=False):
        if ">" in (mine, theirs):
            return True
        if mine != theirs and "*" not in (mine, theirs):
            return False
    return len(ones) == len(others)
