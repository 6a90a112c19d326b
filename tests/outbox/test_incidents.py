"""Incidents in the outbox's file: what is shown, what is forgotten."""

from __future__ import annotations

import sqlite3
from functools import partial

from gateway.outbox import incidents
from gateway.outbox.append import IncidentRow
from gateway.outbox.store import Outbox


def row(name: str, state: str, *, raised_ns: int, changed_ns: int) -> IncidentRow:
    return IncidentRow(
        id=f"inc-{name}",
        machine="mes",
        condition=name,
        state=state,
        since_ns=1,
        raised_ns=raised_ns,
        changed_ns=changed_ns,
        body=name.encode(),
    )


ROWS = [
    row("closed", "closed", raised_ns=20, changed_ns=30),
    row("open", "open", raised_ns=10, changed_ns=10),
    row("waiting", "pending", raised_ns=0, changed_ns=40),
    row("in-time", "closed", raised_ns=0, changed_ns=50),
]


async def test_order_that_was_never_late_is_not_shown_among_the_incidents(outbox: Outbox) -> None:
    await outbox.append(ROWS, [])
    assert await outbox.run(partial(incidents.recent, limit=10)) == [b"open", b"closed"]


async def test_what_was_never_raised_takes_no_place(outbox: Outbox) -> None:
    await outbox.append(ROWS, [])
    assert await left(outbox) == ["inc-closed", "inc-open", "inc-waiting"]
    await outbox.append([row("waiting", "closed", raised_ns=0, changed_ns=60)], [])
    assert await left(outbox) == ["inc-closed", "inc-open"]


async def test_what_closed_long_ago_is_forgotten(outbox: Outbox) -> None:
    await outbox.append(ROWS, [])
    assert await outbox.run(partial(incidents.forget, closed_before_ns=30)) == 0
    assert await outbox.run(partial(incidents.forget, closed_before_ns=31)) == 1
    assert await left(outbox) == ["inc-open", "inc-waiting"]


async def test_forgetting_reads_no_incident(outbox: Outbox) -> None:
    """Once a minute, of up to ten thousand with their curves."""
    plans: list[str] = []

    def explain(connection: sqlite3.Connection) -> None:
        said: list[str] = []
        connection.set_trace_callback(said.append)
        incidents.forget(connection, 1)
        connection.set_trace_callback(None)
        plans.extend(row[3] for statement in said for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"))

    await outbox.run(explain)
    assert [plan for plan in plans if "incident_state" in plan]
    assert not [
        plan for plan in plans if plan.startswith("SCAN incident") or plan == "SEARCH incident USING INDEX incident_state (state=?)"
    ]


async def left(outbox: Outbox) -> list[str]:
    return await outbox.run(lambda connection: [name for (name,) in connection.execute("SELECT id FROM incident ORDER BY id")])
