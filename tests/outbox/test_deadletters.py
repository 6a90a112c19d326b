"""Kept until somebody decides: sent again, corrected, dropped; all of it written down."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.contract import SENT, Event, Outcome, Severity
from gateway.outbox import deadletters, fallback, lease, ledger, tally
from gateway.outbox.append import Addressed, append
from gateway.outbox.database import open_database
from gateway.outbox.pick import Wanted
from gateway.outbox.tally import Kind
from gateway.testkit.rigs import event

NOW_NS = 1_800_000_000_000_000_000


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Four events; the second is refused by crm, the third damaged, all of them wait for plant."""
    connection, _ = open_database(tmp_path)
    append(connection, [], [Addressed(event(n), ("crm", "plant")) for n in (1, 2, 3, 4)])
    connection.execute("UPDATE event SET crc=crc+1 WHERE seq=3")
    events = lease.lease(connection, "crm", Wanted(10), NOW_NS)
    lease.settle(connection, "crm", events, [SENT, Outcome.park("unit is missing", code="REQUIRED unit"), SENT], NOW_NS)
    yield connection
    connection.close()


def counts(db: sqlite3.Connection, destination: str = "crm") -> dict[str, int]:
    found = tally.backlog(db)[destination]
    assert found["ready"] == tally.count_ready(db)[destination]
    return found


def audit(db: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    return db.execute("SELECT who, what, name, after FROM audit ORDER BY number").fetchall()


def test_they_are_found_with_kind_code_and_reason(db: sqlite3.Connection) -> None:
    found = deadletters.find(db)
    assert [(letter.id, letter.kind, letter.code, letter.attempts) for letter in found] == [
        (event(2).id, Kind.PARKED, "REQUIRED unit", 1),
        (event(3).id, Kind.QUARANTINED, "", 1),
    ]
    assert (found[0].event is not None, found[1].event) == (True, None)
    assert [letter.id for letter in deadletters.find(db, event_id="ev-00000002")] == [event(2).id]
    assert deadletters.find(db, destination="plant") == []


def test_sent_again_it_goes_at_its_old_place(db: sqlite3.Connection) -> None:
    append(db, [], [Addressed(event(9), ("crm",))])
    assert deadletters.retry(db, deadletters.find(db), who="anna", now_ns=NOW_NS) == 1
    assert [e.id for e in lease.lease(db, "crm", Wanted(9), NOW_NS)] == [event(2).id, event(9).id]
    assert (counts(db)["parked"], counts(db)["quarantined"]) == (0, 1)
    assert audit(db) == [("anna", "dead letter sent again", event(2).id, "")]


def test_corrected_it_is_a_new_event_and_the_original_is_kept(db: sqlite3.Connection) -> None:
    def correct(original: Event) -> Event:
        return replace(original, id="cor-1", causationid=original.id, data=b'{"unit":"bar"}', sequence=0, severity=Severity.CRITICAL)

    (made,) = deadletters.replace(db, deadletters.find(db), correct, who="anna", now_ns=NOW_NS)
    (sent,) = lease.lease(db, "crm", Wanted(9), NOW_NS)
    assert (sent.id, sent.causationid, sent.data) == ("cor-1", event(2).id, b'{"unit":"bar"}')
    assert [e.id for e in lease.lease(db, "plant", Wanted(9), NOW_NS)] == [event(1).id, event(2).id, event(4).id]
    (letter,) = deadletters.find(db, event_id=event(2).id, destination="crm")
    assert letter.replaced_by == made.id
    assert deadletters.replace(db, [letter], correct, who="anna", now_ns=NOW_NS) == [], "once is enough"
    assert audit(db)[-1] == ("anna", "dead letter corrected", event(2).id, "cor-1")


def test_refused_by_two_the_correction_goes_to_both_at_once_or_one_after_the_other(db: sqlite3.Connection) -> None:
    lease.settle(db, "plant", [replace(event(2), sequence=2)], [Outcome.park("unit is missing")], NOW_NS)

    def correct(original: Event) -> Event:
        return replace(original, id=f"cor-{original.id}", causationid=original.id, sequence=0)

    for destination in ("crm", "plant"):
        letters = deadletters.find(db, event_id=event(2).id, destination=destination)
        assert len(deadletters.replace(db, letters, correct, who="anna", now_ns=NOW_NS)) == 1
    for destination in ("crm", "plant"):
        assert counts(db, destination)["ready"] > 0
        assert f"cor-{event(2).id}" in [e.id for e in lease.lease(db, destination, Wanted(9), NOW_NS)]


def test_an_expired_one_that_is_sent_again_does_not_expire_again(db: sqlite3.Connection) -> None:
    append(db, [], [Addressed(replace(event(9), recorded_ns=NOW_NS - 10), ("crm",))])
    wanted = Wanted(9, max_age_ns=9)
    assert lease.lease(db, "crm", wanted, NOW_NS) == []
    (letter,) = deadletters.find(db, event_id=event(9).id)
    assert letter.kind is Kind.EXPIRED
    deadletters.retry(db, [letter], who="anna", now_ns=NOW_NS)
    assert [e.id for e in lease.lease(db, "crm", wanted, NOW_NS)] == [event(9).id]


def test_nor_when_its_destination_was_renamed_meanwhile(db: sqlite3.Connection) -> None:
    append(db, [], [Addressed(replace(event(9), recorded_ns=NOW_NS - 10), ("crm",))])
    wanted = Wanted(9, max_age_ns=9)
    assert lease.lease(db, "crm", wanted, NOW_NS) == []
    deadletters.retry(db, deadletters.find(db, event_id=event(9).id), who="anna", now_ns=NOW_NS)
    assert fallback.move(db, "crm", "new") == 1
    assert [e.id for e in lease.lease(db, "new", wanted, NOW_NS)] == [event(9).id]


def test_what_is_too_old_expires_in_steps(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others use the writer, too."""
    monkeypatch.setattr(lease, "MOST_EXPIRE", 500)
    append(db, [], [Addressed(replace(event(n), recorded_ns=NOW_NS - 10), ("crm",)) for n in range(10, 1210)])
    wanted = Wanted(9, max_age_ns=9)
    expired = []
    while lease.lease(db, "crm", wanted, NOW_NS) is None:
        expired.append(counts(db)["expired"])
    assert expired == [500, 1000]
    assert counts(db)["expired"] == 1200


def test_a_correction_that_fails_changes_nothing(db: sqlite3.Connection) -> None:
    def wrong(_: Event) -> Event:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        deadletters.replace(db, deadletters.find(db), wrong, who="anna", now_ns=NOW_NS)
    assert counts(db)["ready"] == 0
    assert deadletters.find(db)[0].replaced_by == ""


def test_dropped_it_is_a_loss_with_a_line(db: sqlite3.Connection) -> None:
    assert deadletters.drop(db, deadletters.find(db), who="anna", now_ns=NOW_NS) == 2
    found = counts(db)
    assert (found["discarded"], found["parked"], found["quarantined"]) == (2, 0, 0)
    assert [(line.name, line.count, line.reason) for line in ledger.lines(db)] == [("crm", 2, "rejected by the receiver, dropped by hand")]
    assert db.execute("SELECT count(*) FROM event").fetchone() == (4,), "plant still waits for all of them"


class TestLedger:
    def test_a_gap_is_one_line_that_ends(self, db: sqlite3.Connection) -> None:
        for _ in range(2):
            ledger.begin_gap(db, what="readings", name="press-07", from_ns=10, reason=ledger.OFFLINE, now_ns=11)
        assert [(line.from_ns, line.to_ns, line.count) for line in ledger.lines(db)] == [(10, 0, None)]
        ledger.end_gap(db, what="readings", name="press-07", to_ns=50, count=40, reason=ledger.OFFLINE)
        assert [(line.from_ns, line.to_ns, line.count) for line in ledger.lines(db)] == [(10, 50, 40)]
        assert ledger.fill(db, what="readings", name="press-07", from_ns=20, to_ns=30, count=11) == 1
        assert ledger.fill(db, what="readings", name="press-07", from_ns=60, to_ns=70, count=11) == 0
        assert ledger.lines(db)[0].filled == 11

    def test_the_time_the_gateway_was_away_is_a_line(self, db: sqlite3.Connection) -> None:
        assert ledger.note_absence(db, 100) == 0
        ledger.seen_alive(db, 10_000_000_000)
        ledger.begin_gap(db, what="readings", name="press-07", from_ns=5_000_000_000, reason=ledger.OFFLINE, now_ns=11)
        assert ledger.note_absence(db, 70_000_000_000) == 60.0
        assert [(line.name, line.from_ns, line.to_ns, line.reason) for line in ledger.lines(db)] == [
            ("press-07", 5_000_000_000, 10_000_000_000, ledger.OFFLINE),
            (ledger.GATEWAY, 10_000_000_000, 70_000_000_000, ledger.NOT_RUNNING),
        ]

    def test_a_clock_that_went_back_is_no_absence(self, db: sqlite3.Connection) -> None:
        ledger.seen_alive(db, 10_000_000_000)
        assert ledger.note_absence(db, 5) == 0
        assert ledger.lines(db) == []

    def test_only_what_was_lost_since_is_told(self, db: sqlite3.Connection) -> None:
        for to_ns in (10, 20):
            ledger.note_loss(db, what="events", name="crm", from_ns=1, to_ns=to_ns, count=1, reason="evicted", now_ns=30)
        assert [line.to_ns for line in ledger.lines(db, since_ns=15)] == [20]
