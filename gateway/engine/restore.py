"""After a start: continue with the incidents that were not over."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping

from gateway.contract import Clock
from gateway.incidents import Incident, Incidents, Rule
from gateway.outbox import incidents as stored
from gateway.outbox.ledger import note_absence, note_loss
from gateway.outbox.store import Outbox
from gateway.telemetry.counts import Counts

log = logging.getLogger("lineside")


async def restore(outbox: Outbox, incidents: Incidents, rules: Mapping[str, Rule], *, forgot: bool, clock: Clock, counts: Counts) -> None:
    """Read what was pending or open. One whose row is damaged cannot be continued: it is set aside, told, counted and stands in the
    ledger. If its condition lasts, it is told anew and under a new id: nobody knows how many events the old one has had.

    forgot   the outbox was replaced, so nothing is known of incidents that are over
    """
    now_ns = clock.now_ns()

    def read(connection: sqlite3.Connection) -> tuple[list[tuple[str, str, int]], list[bytes], dict[tuple[str, str], int]]:
        note_absence(connection, now_ns)
        damaged = stored.condemn(connection)
        for machine, condition, since_ns in damaged:
            name, why = f"{machine}/{condition}", "the stored row is damaged (checksum)"
            note_loss(connection, what="incidents", name=name, from_ns=since_ns, to_ns=now_ns, count=1, reason=why, now_ns=now_ns)
        return damaged, stored.unfinished(connection), stored.last_closed(connection)

    damaged, bodies, last_since = await outbox.run(read)
    for machine, condition, _ in damaged:
        log.error("a stored incident is damaged and set aside", extra={"fields": {"machine": machine, "condition": condition}})
        counts.add("incidents_damaged", 1)
    # Which condition it really was, and when it began, nobody knows; so with any that is told first now, it begins now.
    known = {} if damaged else last_since
    incidents.restore([Incident.load(body) for body in bodies], rules, last_since=known, forgot=forgot or bool(damaged))
