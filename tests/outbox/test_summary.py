"""What is over a budget goes as one summary per machine, whatever became of the summary before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.contract import Event, Machine
from gateway.events.build import EventBuilder, rfc3339
from gateway.outbox import deadletters, lease, summary, tally
from gateway.outbox.append import Addressed, append
from gateway.outbox.database import open_database
from gateway.outbox.lease import Wanted
from gateway.outbox.summary import SUMMARISED, Group
from gateway.outbox.tally import Kind
from gateway.testkit.rigs import event

T0 = 1_800_000_000_000_000_000
SECOND_NS = 1_000_000_000
LATER_NS = T0 + 7200 * SECOND_NS
BUILDER = EventBuilder("urn:lineside:acme:dresden:gw-1")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection, _ = open_database(tmp_path)
    yield connection
    connection.close()


def summarise(group: Group) -> Event:
    """As the gateway does, two hours after the events."""
    told = {name: getattr(group, name) for name in ("from_ns", "to_ns", "count", "by_type", "by_severity", "incidents", "reason", "worst")}
    return BUILDER.of_summary(Machine(name=group.machine), destination="crm", now_ns=LATER_NS, **told)


def store(db: sqlite3.Connection, *numbers: int, machine: str = "press-07") -> None:
    append(db, [], [Addressed(replace(event(n), time_ns=T0 + n * SECOND_NS, partitionkey=machine), ("crm",)) for n in numbers])


def roll_up(db: sqlite3.Connection, machine: str | None = None) -> int:
    return summary.roll_up(db, "crm", summarise, reason="budget per_day", machine=machine)


def waiting(db: sqlite3.Connection) -> list[Event]:
    return lease.lease(db, "crm", Wanted(1000), LATER_NS)


def said(db: sqlite3.Connection) -> list[dict[str, Any]]:
    return [msgspec.json.decode(each.data) for each in waiting(db) if each.type.startswith(SUMMARISED)]


def law(db: sqlite3.Connection) -> None:
    assert tally.backlog(db)["crm"]["ready"] == tally.count_ready(db)["crm"]


def test_a_summary_of_a_summary_ends_when_its_last_event_was_and_not_when_it_was_written(db: sqlite3.Connection) -> None:
    store(db, 1, 2)
    roll_up(db)
    store(db, 3)
    assert roll_up(db) == 2
    (told,) = said(db)
    assert (told["count"], told["from"], told["to"]) == (3, rfc3339(T0 + SECOND_NS), rfc3339(T0 + 3 * SECOND_NS))
    law(db)


_SUMMARY = "WHERE type LIKE 'io.lineside.gateway.%'"
DAMAGE = {
    "checksum": f"UPDATE event SET data=x'7b' {_SUMMARY}",
    "type": f"UPDATE event SET type=CAST(x'696f2eff' AS TEXT) {_SUMMARY}",
    "machine": f"UPDATE event SET partitionkey=CAST(x'70ff' AS TEXT) {_SUMMARY}",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_summary_stops_nothing_and_is_quarantined_alone(db: sqlite3.Connection, damage: str) -> None:
    store(db, 1, 2)
    roll_up(db)
    db.execute(DAMAGE[damage])
    store(db, 3, 4)
    assert roll_up(db) == 2
    assert [told["count"] for told in said(db)] == [2]
    rows = db.execute("SELECT seq, kind FROM dead_letter").fetchall()
    assert rows == [(3, Kind.QUARANTINED)]
    law(db)


UNTOLD = [b"{", b"[]", b'{"count":1}', b'{"count":1,"by_type":{},"by_severity":{},"incidents":[],"from":"","to":""}']


@pytest.mark.parametrize("data", UNTOLD)
def test_a_summary_that_says_nothing_stops_nothing_and_is_sent_as_it_is(db: sqlite3.Connection, data: bytes) -> None:
    untold = replace(event(1, data=data), id="gwy-1", type=f"{SUMMARISED}v1", correlationid="")
    append(db, [], [Addressed(untold, ("crm",))])
    store(db, 2, 3)
    assert roll_up(db) == 2
    assert waiting(db)[0].id == "gwy-1"
    assert deadletters.find(db) == []
    law(db)


def test_a_damaged_event_is_not_counted_in_a_summary(db: sqlite3.Connection) -> None:
    store(db, 1, 2, 3)
    db.execute("UPDATE event SET severity=14 WHERE seq=2")
    assert roll_up(db) == 2
    assert [told["count"] for told in said(db)] == [2]
    law(db)


def test_one_machine_is_looked_for_among_the_oldest_only(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer thread must not walk through a million events of others."""
    monkeypatch.setattr(summary, "MOST_SEEN", 10)
    store(db, 1, 2, machine="saw-01")
    store(db, *range(3, 20))
    store(db, 20, 21, machine="saw-01")
    assert roll_up(db, "saw-01") == 2
    assert [told["count"] for told in said(db)] == [2]
    law(db)


def test_what_is_read_of_a_summary_stands_in_its_contract(db: sqlite3.Connection) -> None:
    """`Told` reads what the contract of a summary has."""
    group = Group("press-07", reason="budget per_day")
    for number in (1, 2):
        group.take(replace(event(number), sequence=number))
    told = msgspec.json.decode(summarise(group).data, type=summary.Told)
    assert (told.count, told.by_severity) == (2, {"warning": 2})
