"""The data of events about the gateway itself. Pure; long texts are cut, so that none of these breaks its contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.contract import Json, Machine, Severity

_TITLE, _SHORT, _PROBLEM = 255, 255, 1000
MOST_INCIDENTS = 50


def replaced(gateway: str, set_aside: str, problem: str, at: str) -> dict[str, Json]:
    """The outbox's file was damaged and set aside under a new name; nothing of it was taken over."""
    title = f"{gateway}: the outbox was damaged and replaced"
    return {"title": title[:_TITLE], "at": at, "set_aside": set_aside, "problem": problem[:_PROBLEM]}


def salvaged(
    gateway: str, set_aside: str, problem: str, at: str, saved: Mapping[str, int | None], lost: Mapping[str, int | None]
) -> dict[str, Json]:
    """The outbox's file was damaged; what could be read of it was taken over. Counts of events and incidents, None = not known."""
    title = f"{gateway}: the outbox was damaged; {_count(saved.get('events'))} events were saved, {_count(lost.get('events'))} lost"
    return {
        "title": title[:_TITLE],
        "at": at,
        "set_aside": set_aside[:_SHORT],
        "problem": problem[:_PROBLEM],
        "saved": {name: saved.get(name) for name in ("events", "incidents")},
        "lost": {name: lost.get(name) for name in ("events", "incidents")},
    }


def restored(gateway: str, epoch: int, backup: str, at: str) -> dict[str, Json]:
    """It goes on from a backup; sequences go on behind `epoch`."""
    title = f"{gateway}: restored from a backup of {backup[:19]}Z; what it did after that is not known to it"
    return {"title": title[:_TITLE], "at": at, "backup": backup, "epoch": epoch}


def _count(number: int | None) -> str:
    return "an unknown number" if number is None else str(number)


def summarised(
    machine: Machine,
    *,
    destination: str,
    stretch: tuple[str, str],
    count: int,
    by_type: Mapping[str, int],
    by_severity: Mapping[str, int],
    severity: Severity,
    incidents: Sequence[str],
    reason: str,
    at: str,
) -> dict[str, Json]:
    """`by_severity` by lower-case name; `severity` the worst of them; `stretch` is from and to."""
    data: dict[str, Json] = {
        "title": f"{machine.name}: {count} event{'s' if count != 1 else ''} in one, {reason}"[:_TITLE],
        "at": at,
        "machine": machine.name[:63],
        "destination": destination[:63],
        "from": stretch[0],
        "to": stretch[1],
        "count": count,
        "severity": severity.name.lower(),
        "by_type": {type_: number for type_, number in sorted(by_type.items()) if number > 0},
        "by_severity": dict(by_severity),
        "incidents": list(incidents)[:MOST_INCIDENTS],
        "reason": reason[:_SHORT] or "over the budget",
    }
    return data | ({"asset": machine.asset[:80]} if machine.asset else {})


def worst(by_severity: Mapping[str, int]) -> Severity:
    """
    >>> worst({"info": 3, "error": 1, "critical": 0}).name
    'ERROR'
    """
    return max((Severity[name.upper()] for name, number in by_severity.items() if number > 0), default=Severity.INFO)


def rejected(gateway: str, type_: str, pointer: str, problem: str, at: str) -> dict[str, Json]:
    """An event of ours did not fit its contract."""
    return {
        "title": f"{gateway}: an event {type_} did not fit its contract"[:_TITLE],
        "at": at,
        "type": type_[:_SHORT],
        "pointer": pointer[:_SHORT],
        "problem": problem[:_PROBLEM] or "it does not fit",
    }
