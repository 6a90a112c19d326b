"""The way back: what the service team says of an incident, and what a detector is told of it."""

from __future__ import annotations

from enum import Enum

import msgspec


class Judgement(Enum):
    """What the case turned out to be."""

    TRUE_POSITIVE = "true_positive"  # there was a fault
    FALSE_ALARM = "false_alarm"  # there was none
    KNOWN_ISSUE = "known_issue"  # there is one, and it is dealt with elsewhere
    MAINTENANCE = "maintenance"  # somebody worked on the machine


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One judgement of one incident, as it came in.

    id         of the message: the same verdict told twice has the same id
    incident   its id, as it stands in `Event.correlationid`
    t_ns       when it was given
    by         whoever gave it, as the CRM names them; may be empty
    case       the CRM's number of the case; may be empty
    """

    id: str
    incident: str
    judgement: Judgement
    t_ns: int
    by: str = ""
    comment: str = ""
    case: str = ""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict as a detector is told of it: which of its findings was meant, and the stretch of time it covers.

    until_ns   when the incident was cleared; 0 while it is open
    """

    machine: str
    condition: str
    judgement: Judgement
    since_ns: int
    until_ns: int = 0
