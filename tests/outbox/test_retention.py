"""What is given up when the outbox is too big or too old: declared, counted, in the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.contract import Event, Severity
from gateway.outbox import incidents, retention, tally
from gateway.outbox.append import Addressed, IncidentRow, append
from gateway.outbox.database import open_database
from gateway.outbox.lease import bury, remove
from gateway.outbox.retention import Caps
from gateway.outbox.tally import Kind
from gateway.testkit.rigs import event

DAY_NS = 86_400_000_000_000
NOW_NS = 1_800_000_000_000_000_000


@pytest.fixture
def db(tmp_path: Any) -> Iterator[sqlite3.Connection]:
    connection, _ = open_database(tmp_path)
    yield connection
    connection.close()


def fill(db: sqlite3.Connection, count: int, *, first: int = 0, **changes: Any) -> None:
    made = [Addressed(replace(event(n, data=b"x" * 2000), **changes), ("crm",)) for n in range(first, first + count)]
    append(db, [], made)


def close_incidents(db: sqlite3.Connection, count: int, *, condition: str = "oil_high") -> None:
    rows = [IncidentRow(f"{condition}-{n}", "press-07", condition, "closed", n, n, n, b"x" * 2000) for n in range(1, count + 1)]
    append(db, rows, [])


def severities(db: sqlite3.Connection) -> dict[int, int]:
    return dict(db.execute("SELECT severity, count(*) FROM event GROUP BY severity").fetchall())


def ledger(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return db.execute("SELECT what, name, sum(count), reason FROM ledger GROUP BY what, name, reason").fetchall()


def law(db: sqlite3.Connection) -> None:
    for destination, counts in tally.backlog(db).items():
        rows = db.execute("SELECT count(*) FROM delivery WHERE destination=?", (destination,)).fetchone()[0]
        assert counts["ready"] == rows


def test_under_its_caps_nothing_is_given_up(db: sqlite3.Connection) -> None:
    fill(db, 100)
    assert retention.enforce(db, Caps(10 << 20, 0, 30 * DAY_NS), NOW_NS) == 0
    assert ledger(db) == []


def test_least_severe_and_oldest_go_first_and_are_accounted_for(db: sqlite3.Connection) -> None:
    fill(db, 800, severity=Severity.CRITICAL)
    fill(db, 800, first=1000, severity=Severity.INFO)
    fill(db, 800, first=2000, severity=Severity.WARNING)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    cap = retention.used_bytes(db) - 1_500_000
    given_up = retention.enforce(db, Caps(cap, 0, 30 * DAY_NS), NOW_NS)
    assert given_up > 0
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert retention.used_bytes(db) <= cap
    left = severities(db)
    assert left[Severity.CRITICAL] == 800
    assert left.get(Severity.INFO, 0) == max(0, 800 - given_up)
    oldest_warning = db.execute("SELECT min(seq) FROM event WHERE severity=?", (Severity.WARNING,)).fetchone()[0]
    assert oldest_warning == 1601 + max(0, given_up - 800)
    assert tally.backlog(db)["crm"]["evicted"] == given_up
    assert ledger(db) == [("events", "crm", given_up, "evicted: max_megabytes")]
    law(db)


def test_a_closing_event_is_never_given_up_for_room(db: sqlite3.Connection) -> None:
    fill(db, 50, type="io.lineside.limit.cleared.v1", severity=Severity.INFO)
    fill(db, 500, first=100)
    retention.enforce(db, Caps(1, 0, 30 * DAY_NS), NOW_NS)
    assert [row[0] for row in db.execute("SELECT DISTINCT type FROM event")] == ["io.lineside.limit.cleared.v1"]
    assert tally.backlog(db)["crm"]["ready"] == 50


def test_incidents_that_are_over_go_before_any_event(db: sqlite3.Connection) -> None:
    fill(db, 50)
    close_incidents(db, 2000)
    close_incidents(db, 1, condition="vibration")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    cap = 1_000_000
    assert retention.used_bytes(db) > 3 * cap
    assert retention.enforce(db, Caps(cap, 0, 30 * DAY_NS), NOW_NS) == 0
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert retention.used_bytes(db) <= cap
    assert tally.backlog(db)["crm"]["ready"] == 50
    assert incidents.last_closed(db) == {("press-07", "oil_high"): 2000, ("press-07", "vibration"): 1}


def test_what_is_too_old_expires(db: sqlite3.Connection) -> None:
    fill(db, 3, recorded_ns=NOW_NS - 31 * DAY_NS)
    fill(db, 2, first=10, recorded_ns=NOW_NS - 29 * DAY_NS)
    assert retention.enforce(db, Caps(10 << 20, 0, 30 * DAY_NS), NOW_NS) == 3
    assert ledger(db) == [("events", "crm", 3, "expired: older than keep_events_days")]
    assert tally.backlog(db)["crm"]["aged"] == 3
    law(db)


def test_a_clock_that_is_set_right_expires_nothing(db: sqlite3.Connection) -> None:
    """A board without a clock of its own boots in 1970; what it recorded then is young."""
    fill(db, 3, recorded_ns=5_000_000_000)
    fill(db, 2, first=10, recorded_ns=NOW_NS)
    assert retention.enforce(db, Caps(10 << 20, 0, 30 * DAY_NS), NOW_NS) == 0


def test_parked_ones_count_as_dropped_when_they_go(db: sqlite3.Connection) -> None:
    fill(db, 5, recorded_ns=NOW_NS - 31 * DAY_NS)
    bury(db, "crm", [1, 2], Kind.PARKED, NOW_NS, reason="no")
    retention.enforce(db, Caps(10 << 20, 0, 30 * DAY_NS), NOW_NS)
    counts = tally.backlog(db)["crm"]
    assert (counts["stored"], counts["aged"], counts["parked"], counts["ready"]) == (5, 5, 0, 0)


def incident(number: int, *, opened: bool = True) -> list[Event]:
    made = []
    for part, kind in ((1, "raised"), (2, "updated"), (3, "cleared")):
        if part == 1 and not opened:
            continue
        identity, type_ = f"inc-{number:05d}", f"io.lineside.limit.{kind}.v1"
        changes = {"id": f"{identity}-{part:04d}", "correlationid": identity, "type": type_, "severity": Severity.INFO}
        made.append(replace(event(number, data=b"x" * 2000), **changes))
    return made


def test_with_its_opening_the_whole_incident_goes_but_not_the_end_of_one_that_was_opened(db: sqlite3.Connection) -> None:
    opened_before = incident(1, opened=False)
    whole = [each for n in range(2, 300) for each in incident(n)]
    for batch in (opened_before, whole):
        append(db, [], [Addressed(each, ("crm",)) for each in batch])
    retention.enforce(db, Caps(1, 0, 30 * DAY_NS), NOW_NS)
    assert [row[0] for row in db.execute("SELECT id FROM event")] == ["inc-00001-0003"]
    law(db)


def test_when_the_disk_runs_full_the_file_may_not_grow(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(db, 500)
    before = retention.used_bytes(db)
    caps = Caps(512 << 20, 1 << 30, 30 * DAY_NS)
    monkeypatch.setattr(retention, "disk_usage", lambda _: SimpleNamespace(free=2 << 30))
    assert retention.enforce(db, caps, NOW_NS) == 0
    monkeypatch.setattr(retention, "disk_usage", lambda _: SimpleNamespace(free=(1 << 30) - 100_000))
    assert retention.enforce(db, caps, NOW_NS) > 0
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert retention.used_bytes(db) <= before - 100_000
    assert {reason for *_, reason in ledger(db)} == {"evicted: min_free_megabytes"}


def test_the_wal_counts(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA wal_autocheckpoint=0")
    fill(db, 100)
    assert retention.wal_bytes(db) > 200_000
    with_wal = retention.used_bytes(db)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert with_wal - retention.used_bytes(db) > 200_000


def test_a_file_that_was_large_gives_its_room_back_bit_by_bit(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_SLACK_BYTES", 1 << 20)
    fill(db, 4000)
    remove(db, "crm", list(range(1, 4001)))
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    while db.execute("PRAGMA freelist_count").fetchone()[0] * 4096 > 1 << 20:
        retention.give_back(db)
    assert db.execute("PRAGMA page_count").fetchone()[0] < pages / 2


def test_a_disk_that_stays_full_costs_its_shortage_once(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleting frees pages, not disk: the next pass sees the same shortage."""
    fill(db, 2000)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    monkeypatch.setattr(retention, "disk_usage", lambda _: SimpleNamespace(free=(1 << 30) - 500_000))
    caps = Caps(512 << 20, 1 << 30, 30 * DAY_NS)
    first = retention.enforce(db, caps, NOW_NS)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert 0 < first < 1000
    assert [retention.enforce(db, caps, NOW_NS) for _ in range(5)] == [0] * 5


def test_a_wal_that_a_reader_keeps_from_being_reset_costs_no_more_and_more_events(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "WAL_BYTES", 1 << 20)
    fill(db, 3000)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    reader = sqlite3.connect(retention.file_of(db), isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM event").fetchone()
    caps = Caps(retention.used_bytes(db) - 100_000, 0, 30 * DAY_NS)
    given_up = [retention.enforce(db, caps, NOW_NS) for _ in range(8)]
    reader.close()
    assert retention.wal_bytes(db) > 1 << 20
    assert given_up[-3:] == [0, 0, 0]
    assert sum(given_up) < 1500


def test_what_is_given_up_with_its_incident_is_found_by_its_key(db: sqlite3.Connection) -> None:
    """Not by walking through the backlog for each of them."""
    for start in range(0, 2000, 100):
        append(db, [], [Addressed(each, ("crm",)) for n in range(start, start + 100) for each in incident(n)])
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    db.set_progress_handler(count, 1000)
    retention._victims(db, Severity.INFO)
    db.set_progress_handler(None, 0)
    assert steps < 400, "thousands of steps of the database engine"
