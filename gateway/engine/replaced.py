"""What is told when the outbox was damaged, and another one took its place."""

from __future__ import annotations

import logging

from gateway.engine.accept import Acceptance
from gateway.events.build import EventBuilder
from gateway.outbox.database import Replaced

log = logging.getLogger("lineside")


def tell_replaced(replaced: Replaced, builder: EventBuilder, acceptance: Acceptance, now_ns: int) -> None:
    """In the log, and as an event."""
    found = replaced.salvage
    facts = {"file": replaced.set_aside, "why": replaced.problem, "events": found.events, "lost": found.lost_events}
    log.error("outbox damaged, set aside", extra={"fields": facts})
    if found.unreadable:
        acceptance.event(builder.of_replaced_outbox(replaced.set_aside, replaced.problem, now_ns=now_ns))
        return
    saved = {"events": found.events, "incidents": found.incidents}
    lost = {"events": found.lost_events, "incidents": found.lost_incidents}
    acceptance.event(builder.of_salvaged_outbox(replaced.set_aside, replaced.problem, saved=saved, lost=lost, now_ns=now_ns))
