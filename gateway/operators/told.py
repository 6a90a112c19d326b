"""What the page and the metrics tell of alarms, watches and shelves. Plain functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gateway.contract import Json
from gateway.engine.shadow import Shadow
from gateway.engine.watch import Watch
from gateway.incidents import Incidents
from gateway.incidents.rates import FLOOD_MOST, STANDING_NS
from gateway.operators.desk import Desk
from gateway.operators.progress import Learnt
from gateway.outbox.shadow import ShadowAlarm
from gateway.outbox.shelves import Shelf
from gateway.telemetry.counts import Figure


def alarms(incidents: Incidents, now_ns: int) -> dict[str, Json]:
    """After ISA-18.2: how many come, which chatter, which nobody acts on."""
    here, recent = incidents.open, incidents.rates.recent()
    return {
        "open": len(here),
        "last_10_minutes": recent,
        "flood": recent > FLOOD_MOST,
        "chattering": [f"{machine}/{condition}" for machine, condition in incidents.rates.chattering()],
        "standing_over_24_hours": sum(now_ns - incident.raised_ns > STANDING_NS for incident in here),
    }


def watch(one: Watch, learnt: Learnt | None, trial: Shadow, last_week: int, now_ns: int) -> dict[str, Json]:
    """last_week   incidents it would have raised"""
    machines = dict.fromkeys(tag.machine for tag in one.settings.tags)
    learning = None
    if learnt is not None:
        learning = {"share": learnt.share, "still": learnt.still, "of": len(learnt.things), "alarms_last_week": learnt.alarms}
    return {
        "name": one.name,
        "detector": one.settings.plugin.name,
        "shadow": {"last_week": last_week, "active": trial.active(one.name)} if one.shadow else None,
        "blackout": [machine for machine in machines if one.quiet(machine, now_ns)],
        "learning": learning,
        "left_out": one.left_out(),
    }


def details(learnt: Learnt | None, would_be: Iterable[ShadowAlarm]) -> dict[str, Json]:
    """Each thing a watch learns, and what it would have raised."""
    things = learnt.things if learnt is not None else ()
    return {
        "tags": [{"machine": t.machine, "tag": t.tag, "state": t.state, "share": t.share, "alarms": t.alarms} for t in things],
        "would_be": [{"machine": a.machine, "condition": a.condition, "at": a.at_ns / 1e9, "title": a.title} for a in would_be],
    }


def shelf(one: Shelf) -> dict[str, Json]:
    times = {"since": one.since_ns / 1e9, "until": one.until_ns / 1e9}
    return {
        "id": one.number,
        "machine": one.machine,
        "condition": one.condition,
        "critical": one.critical,
        "by": one.who,
        "why": one.why,
        **times,
    }


def figures(incidents: Incidents, desk: Desk, watches: Sequence[Watch]) -> Iterator[Figure]:
    """For the metrics."""
    yield Figure("alarm_flood", "1 = more than 10 alarms in 10 minutes", int(incidents.rates.recent() > FLOOD_MOST))
    yield Figure("alarms_chattering", "conditions that began 3 times within a minute", len(incidents.rates.chattering()))
    yield Figure("shelves", "shelves in use", len(desk.shelving.shelves))
    for one in watches:
        if (learnt := desk.progress.of(one.name)) is not None:
            yield Figure("learning_share", "of the warm-up, the lowest of the watch's tags", learnt.share, (("watch", one.name),))
            yield Figure("learning_tags", "tags a watch does not know yet", learnt.still, (("watch", one.name),))
        for why, count in one.left_out().items():
            labels = (("reason", why), ("watch", one.name))
            yield Figure("waveforms_left_out", "blocks of fast channels a watch did not look at", count, labels, "counter")
