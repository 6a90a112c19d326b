"""Incidents in the outbox's file: what is shown, what is forgotten."""

from __future__ import annotations

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


async def test_what_was_never_raised_is_forgotten_and_takes_no_place(outbox: Outbox) -> None:
    await outbox.append(ROWS, [])
    assert await outbox.run(partial(incidents.forget, closed_before_ns=25)) == 1
    left = await outbox.run(lambda connection: connection.execute("SELECT id FROM incident ORDER BY id").fetchall())
    assert [name for (name,) in left] == ["inc-closed", "inc-open", "inc-waiting"]
