"""What is given up when the outbox is too big or too old: declared, counted, in the ledger."""

from __future__ import annotations

import _sqlite3
import asyncio
import ctypes
import sqlite3
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from gateway.config.model import BufferModel
from gateway.contract import Event, Outcome, OutcomeKind, Severity
from gateway.outbox import incidents, memory, retention, sacrifice, tally
from gateway.outbox.append import Addressed, IncidentRow, append
from gateway.outbox.database import open_database
from gateway.outbox.lease import bury, remove
from gateway.outbox.memory import SetAside
from gateway.outbox.pick import Wanted
from gateway.outbox.retention import Caps, Enforcement
from gateway.outbox.store import Outbox
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
    monkeypatch.setattr(retention, "LEAST_BYTES", 1 << 20)
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


def test_what_others_take_of_the_disk_is_not_paid_for_with_events(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Giving up events would not give the disk anything back."""
    monkeypatch.setattr(retention, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    caps = Caps(512 << 20, 1 << 30, 30 * DAY_NS)
    fill(db, 2000)
    assert 4 << 20 < retention.used_bytes(db) < retention.LEAST_BYTES
    assert retention.enforce(db, caps, NOW_NS) == 0, "a small outbox is left alone"
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert retention.allowed_bytes(db, caps) == retention.used_bytes(db) + (1 << 20), "more is not free"
    monkeypatch.setattr(retention, "LEAST_BYTES", 2 << 20)
    monkeypatch.setattr(retention, "ROOM_BYTES", 1 << 20)
    before = retention.used_bytes(db)
    assert 100 < retention.enforce(db, caps, NOW_NS) < 1000
    assert retention.enforce(db, caps, NOW_NS) == 0
    assert retention.used_bytes(db) > before / 2
    law(db)


def test_what_is_new_takes_the_place_of_what_is_given_up(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LEAST_BYTES", 2 << 20)
    monkeypatch.setattr(retention, "ROOM_BYTES", 1 << 20)
    monkeypatch.setattr(retention, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    fill(db, 2000)
    size = db.execute("PRAGMA page_count").fetchone()[0]
    given_up = 0
    for start in range(2000, 6000, 200):
        given_up += retention.enforce(db, Caps(512 << 20, 1 << 30, 30 * DAY_NS), NOW_NS)
        fill(db, 200, first=start)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert db.execute("PRAGMA page_count").fetchone()[0] <= size
    assert 3500 < given_up < 4600


def test_the_least_that_may_be_configured_leaves_room_beside_the_wal() -> None:
    least = retention.LEAST_BYTES >> 20
    assert BufferModel(max_megabytes=least).max_megabytes == least
    with pytest.raises(ValidationError, match=str(least)):
        BufferModel(max_megabytes=least - 1)
    assert least << 20 >= 2 * retention.WAL_BYTES


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


def test_what_is_written_once_does_not_stay_in_memory(db: sqlite3.Connection) -> None:
    used = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
    used.restype = ctypes.c_int64
    before = used()
    close_incidents(db, 1000)
    assert used() - before > 1 << 20
    retention.give_back(db)
    assert used() - before < 1 << 18


def test_a_disk_that_stays_full_costs_its_shortage_once(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleting frees pages, not disk: the next pass sees the same shortage."""
    monkeypatch.setattr(retention, "LEAST_BYTES", 1 << 20)
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


def step_by_step(db: sqlite3.Connection) -> Iterator[int]:
    """Under a cap that nothing fits."""
    step = Enforcement(Caps(1, 0, 30 * DAY_NS), NOW_NS)
    return iter(lambda: step(db), None)  # type: ignore[arg-type]


def test_no_step_looks_at_the_whole_backlog(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has something to store waits for one step; what waits is found by its key, and so is the rest of an incident."""
    monkeypatch.setattr(sacrifice, "WINDOW", 500)
    db.execute("PRAGMA synchronous=OFF")
    for start in range(0, 1500, 100):
        append(db, [], [Addressed(each, ("crm", "plant")) for n in range(start, start + 100) for each in incident(n)])
    instructions, most = 0, 0

    def count() -> None:
        nonlocal instructions
        instructions += 1

    db.set_progress_handler(count, 1000)
    given_up = 0
    for count_ in step_by_step(db):
        given_up += count_
        assert count_ <= 6 * sacrifice.CHUNK
        most, instructions = max(most, instructions), 0
    db.set_progress_handler(None, 0)
    assert given_up == 9_000
    assert most < 150, "thousands of steps of the database engine"


def bury_some(db: sqlite3.Connection, kind: Kind, first: int) -> None:
    fill(db, 20, first=first, severity=Severity.CRITICAL)
    newest = db.execute("SELECT max(seq) FROM event").fetchone()[0]
    bury(db, "crm", range(newest - 19, newest + 1), kind, NOW_NS, reason="no")


def test_what_nobody_has_to_decide_on_goes_first_and_critical_events_last(db: sqlite3.Connection) -> None:
    fill(db, 20, severity=Severity.CRITICAL)
    fill(db, 20, first=100, severity=Severity.ERROR)
    for first, kind in enumerate((Kind.PARKED, Kind.EXPIRED, Kind.QUARANTINED, Kind.PARKED), 2):
        bury_some(db, kind, 100 * first)
    db.execute("UPDATE dead_letter SET replaced_by='ev-1' WHERE seq>100")
    gone: list[str] = []
    for _ in step_by_step(db):
        left = set(db.execute("SELECT 'waiting ' || severity FROM delivery").fetchall())
        left |= set(db.execute("SELECT 'dead ' || kind || replaced_by FROM dead_letter").fetchall())
        what = ("dead 2", "dead 3", "dead 1ev-1", "waiting 17", "dead 1", "waiting 21")
        gone += [each for each in what if (each,) not in left and each not in gone]
    assert set(gone[:3]) == {"dead 2", "dead 3", "dead 1ev-1"}
    assert gone[3:] == ["waiting 17", "dead 1", "waiting 21"]
    law(db)


def test_an_incident_that_became_critical_is_critical_from_its_opening_on(db: sqlite3.Connection) -> None:
    """Else its critical event would go with the opening, before dead letters."""
    opening, update, end = incident(1)
    worse = [replace(opening, severity=Severity.WARNING), *(replace(each, severity=Severity.CRITICAL) for each in (update, end))]
    append(db, [], [Addressed(each, ("crm",)) for each in worse])
    bury_some(db, Kind.PARKED, 100)
    fill(db, 20, first=200, severity=Severity.ERROR)
    seen = []
    for _ in step_by_step(db):
        counts = tally.backlog(db)["crm"]
        seen.append((counts["ready"], counts["parked"]))
    assert list(dict.fromkeys(seen)) == [(23, 20), (3, 20), (3, 0), (0, 0)]
    law(db)


def test_among_equals_the_oldest_go_first_in_whatever_lane_they_wait(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sacrifice, "WINDOW", 7)
    monkeypatch.setattr(sacrifice, "CHUNK", 5)
    fill(db, 20, partitionkey="saw-01")
    memory.set_aside(db, "crm", SetAside("saw-01", NOW_NS, "refused"))
    fill(db, 20, first=100)
    append(db, [], [Addressed(event(n), ("plant",)) for n in range(200, 220)])
    order = []
    for _ in step_by_step(db):
        left = {row[0] for row in db.execute("SELECT seq FROM event")}
        order += sorted(set(range(1, 61)) - left - set(order))
    assert order == list(range(1, 61))
    law(db)


@pytest.mark.parametrize("column", ["id", "type", "correlationid", "subject"])
def test_text_that_is_no_text_any_more_stops_nothing(db: sqlite3.Connection, column: str) -> None:
    append(db, [], [Addressed(each, ("crm",)) for n in range(3) for each in incident(n)])
    db.execute(f"UPDATE event SET {column}=CAST(x'69ff' AS TEXT) WHERE seq=1")
    retention.enforce(db, Caps(1, 0, 30 * DAY_NS), NOW_NS)
    assert {row[0] for row in db.execute("SELECT seq FROM event")} <= {2, 3}
    law(db)


def test_a_damaged_opening_takes_nothing_of_others_along(db: sqlite3.Connection) -> None:
    append(db, [], [Addressed(each, ("crm",)) for n in range(3) for each in incident(n)])
    append(db, [], [Addressed(each, ("crm",)) for n in range(3, 6) for each in incident(n, opened=False)])
    db.execute("UPDATE event SET correlationid='jnc-00000' WHERE seq=1")
    retention.enforce(db, Caps(1, 0, 30 * DAY_NS), NOW_NS)
    assert [row[0] for row in db.execute("SELECT id FROM event")] == [f"inc-{n:05d}-0003" for n in (0, 3, 4, 5)]
    law(db)


def test_one_pass_is_one_line_in_the_ledger(db: sqlite3.Connection) -> None:
    append(db, [], [Addressed(event(n), ("crm", "plant")) for n in range(500)])
    retention.enforce(db, Caps(1, 0, 30 * DAY_NS), NOW_NS)
    rows = db.execute("SELECT name, count, to_ns - from_ns FROM ledger ORDER BY name").fetchall()
    assert rows == [("crm", 500, 499), ("plant", 500, 499)]


def test_a_pass_that_was_undone_begins_again(db: sqlite3.Connection) -> None:
    fill(db, 500)
    step = Enforcement(Caps(1, 0, 30 * DAY_NS), NOW_NS)
    while not step(db):
        pass
    db.execute("CREATE TRIGGER full BEFORE DELETE ON delivery BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END")
    with pytest.raises(sqlite3.DatabaseError, match="full"):
        step(db)
    db.execute("DROP TRIGGER full")
    assert sum(iter(lambda: step(db), None)) == 400  # type: ignore[arg-type]
    law(db)


async def test_what_is_being_sent_is_not_given_up(outbox: Outbox) -> None:
    """It may be at the receiver, and would count as lost."""
    await outbox.append([], [Addressed(event(n, data=b"x" * 2000), ("crm",)) for n in range(200)])
    sent = await outbox.lease("crm", Wanted(20))
    outbox.max_bytes = 1
    await outbox.keep_to_caps()
    assert [each.sequence for each in await outbox.lease("crm", Wanted(200))] == [each.sequence for each in sent]
    await outbox.settle("crm", sent, [Outcome(OutcomeKind.SENT)] * len(sent))
    counts = (await outbox.insist(tally.backlog))["crm"]
    assert (counts["delivered"], counts["evicted"], counts["ready"]) == (20, 180, 0)


async def test_what_is_stored_during_a_pass_does_not_wait_for_its_end(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sacrifice, "CHUNK", 1)
    outbox.max_bytes = 1
    await outbox.append([], [Addressed(event(n), ("crm",)) for n in range(400)])
    running = asyncio.create_task(outbox.keep_to_caps())
    while not await outbox.run(lambda db: tally.backlog(db)["crm"]["evicted"]):
        pass
    await outbox.append([], [Addressed(event(500, data=b"late"), ("crm",))])
    left = await outbox.run(lambda db: tally.backlog(db)["crm"]["ready"])
    assert 1 < left < 401, "it was stored between two steps"
    await running
    assert await outbox.run(lambda db: tally.backlog(db)["crm"]["ready"]) == 0


async def test_closed_in_the_middle_of_a_pass_it_ends(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sacrifice, "CHUNK", 1)
    outbox.max_bytes = 1
    await outbox.append([], [Addressed(event(n), ("crm",)) for n in range(600)])
    async with asyncio.timeout(10):
        while not await outbox.run(lambda db: tally.backlog(db)["crm"]["evicted"]):
            pass
        await outbox.close()
