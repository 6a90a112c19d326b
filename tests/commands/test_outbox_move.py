"""`lineside outbox move`: a renamed destination's events go on, in order and once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from gateway.cli import main
from gateway.contract import SENT, Event, Outcome, Severity
from gateway.outbox import fallback, tally
from gateway.outbox.append import Addressed, append
from gateway.outbox.database import open_database
from gateway.outbox.lease import lease, settle
from gateway.outbox.pick import Wanted
from gateway.testkit.rigs import event

NOW_NS = 1_800_000_000_000_000_000


def move(folder: Path, *names: str) -> Result:
    return CliRunner().invoke(main, ["outbox", "move", "--state-dir", str(folder), *names])


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    return open_database(tmp_path)[0]


def waits(db: sqlite3.Connection, destination: str) -> list[Event]:
    return lease(db, destination, Wanted(1000), NOW_NS)  # type: ignore[return-value]


def law(db: sqlite3.Connection) -> None:
    counted = tally.count_ready(db)
    for name, counts in tally.backlog(db).items():
        assert counts["ready"] == counted[name], name


def test_what_waits_goes_on_in_order_and_the_law_holds(tmp_path: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "MOST", 7)
    with closing(db):
        append(db, [], [Addressed(event(n), ("crm",)) for n in range(30)])
        result = move(tmp_path, "crm", "salesforce")
        assert (result.exit_code, result.stdout) == (0, "30 events moved from crm to salesforce\n")
        assert "nothing was ever stored for salesforce" in result.stderr
        assert waits(db, "crm") == []
        assert [one.id for one in waits(db, "salesforce")] == [event(n).id for n in range(30)]
        assert db.execute("SELECT what, name, before, after FROM audit").fetchall() == [("outbox move", "crm", "30 waiting", "salesforce")]
        law(db)


def test_a_disk_that_is_full_half_way_is_said_with_what_is_moved(
    tmp_path: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = fallback.move, list[int]()

    def full(*given: Any) -> int:
        calls.append(1)
        if len(calls) == 2:
            raise sqlite3.OperationalError("database or disk is full")
        return real(*given)

    monkeypatch.setattr(fallback, "MOST", 7)
    monkeypatch.setattr(fallback, "move", full)
    with closing(db):
        append(db, [], [Addressed(event(n), ("crm",)) for n in range(10)])
        result = move(tmp_path, "crm", "salesforce")
        assert (result.exit_code, result.stderr.startswith("7 events moved, and the same command goes on there: ")) == (1, True)
        assert db.execute("SELECT before FROM audit").fetchall() == [("10 waiting",)], "who began it is known, however it ends"
        assert (move(tmp_path, "crm", "salesforce").exit_code, len(waits(db, "salesforce"))) == (0, 10)
        assert db.execute("SELECT before FROM audit").fetchall() == [("10 waiting",), ("3 waiting",)]
        law(db)


def test_what_the_new_one_has_already_is_not_doubled(tmp_path: Path, db: sqlite3.Connection) -> None:
    with closing(db):
        append(db, [], [Addressed(event(n), ("crm", "plant")) for n in range(4)])
        append(db, [], [Addressed(event(4), ("crm",))])
        first = waits(db, "plant")[:1]
        settle(db, "plant", first, [Outcome.park("no")], NOW_NS)
        assert move(tmp_path, "crm", "plant").exit_code == 0
        assert [one.id for one in waits(db, "plant")] == [event(n).id for n in (1, 2, 3, 4)]
        assert db.execute("SELECT count(*) FROM delivery").fetchone() == (4,)
        law(db)
        settle(db, "plant", waits(db, "plant"), [SENT] * 4, NOW_NS)
        assert db.execute("SELECT id FROM event").fetchall() == [(event(0).id,)], "the dead letter alone is kept"


def test_a_destination_that_is_not_configured_is_warned_of_and_one_that_is_is_not(tmp_path: Path, db: sqlite3.Connection) -> None:
    with closing(db):
        append(db, [], [Addressed(event(0), ("crm",))])
        tally.note_configured(db, ["salesforce"])
        assert move(tmp_path, "crm", "slaesforce").stderr.startswith("nobody sends to slaesforce: it is not in the configuration")
        assert move(tmp_path, "slaesforce", "salesforce").stderr == ""


def test_a_critical_one_keeps_its_lane(tmp_path: Path, db: sqlite3.Connection) -> None:
    with closing(db):
        append(db, [], [Addressed(event(0), ("crm",)), Addressed(replace(event(1), severity=Severity.CRITICAL), ("crm",))])
        move(tmp_path, "crm", "plant")
        assert waits(db, "plant")[0].severity == Severity.CRITICAL


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("nobody", "plant"), "nothing was ever stored for 'nobody'; known are crm"),
        (("crm", "crm"), "that is where they wait already"),
        (("crm", "No Name"), "'No Name' is no name of a destination"),
    ],
)
def test_wrong_names_are_told_and_nothing_is_moved(tmp_path: Path, db: sqlite3.Connection, names: tuple[str, str], said: str) -> None:
    with closing(db):
        append(db, [], [Addressed(event(0), ("crm",))])
        result = move(tmp_path, *names)
        assert result.exit_code == 1
        assert said in result.output
        assert len(waits(db, "crm")) == 1
