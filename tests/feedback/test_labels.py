"""A verdict is kept once, with what its incident is about; one incident has one vote."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import Judgement
from gateway.outbox import incidents, labels
from gateway.outbox.append import append
from gateway.outbox.database import open_database
from gateway.outbox.labels import LabelRow, Votes

TRUE, FALSE, KNOWN, MAINTENANCE = Judgement.TRUE_POSITIVE, Judgement.FALSE_ALARM, Judgement.KNOWN_ISSUE, Judgement.MAINTENANCE
Add = Callable[..., list[LabelRow]]


@pytest.fixture
def connection(tmp_path: Path, made: Any) -> Iterator[sqlite3.Connection]:
    opened, _ = open_database(tmp_path)
    with closing(opened):
        append(opened, [made.incident("inc-1"), made.incident("inc-2"), made.incident("inc-3", detector="river-1")], [])
        yield opened


@pytest.fixture
def add(connection: sqlite3.Connection, made: Any) -> Add:
    """``add("v1", FALSE, "inc-1", now_ns=..., ...)``: the rows that are new."""

    def one(identity: str, judgement: Judgement = FALSE, of: str = "inc-1", *, now_ns: int = made.T0, **changed: Any) -> list[LabelRow]:
        return labels.add(connection, [made.verdict(identity, judgement, of, **changed)], origin="crm", now_ns=now_ns)

    return one


def test_what_came_in_is_kept_with_what_the_incident_is_about(add: Add, connection: sqlite3.Connection, made: Any) -> None:
    (row,) = add("v1", KNOWN, t_ns=5, by="Eva", comment="since May", case="00012", now_ns=7)
    assert row == LabelRow(1, "v1", "inc-1", "m1", made.CONDITION, "anomaly-1", "known_issue", 5, 7, "crm", "Eva", "since May", "00012")
    assert labels.recent(connection, 5) == [row]


def test_a_message_that_comes_twice_is_kept_once(add: Add, connection: sqlite3.Connection) -> None:
    assert len(add("v1", FALSE)) == 1
    assert add("v1", TRUE) == []
    assert [row.judgement for row in labels.recent(connection, 5)] == ["false_alarm"]


def test_an_incident_nobody_knows_here_is_kept_without_names(add: Add, connection: sqlite3.Connection) -> None:
    (row,) = add("v1", of="inc-of-another-gateway")
    assert (row.machine, row.condition, row.detector) == ("", "", "")
    assert labels.precision(connection) == {}


@pytest.mark.parametrize("damage", ["body=x'7b'", "machine='m2'"])
def test_an_incident_whose_row_is_damaged_is_not_known(add: Add, connection: sqlite3.Connection, damage: str) -> None:
    connection.execute(f"UPDATE incident SET {damage} WHERE id='inc-1'")
    (row,) = add("v1")
    assert (row.machine, row.condition, row.detector) == ("", "", "")


def test_an_incident_of_another_version_still_has_its_machine(add: Add, connection: sqlite3.Connection, made: Any) -> None:
    known = incidents.one(connection, "inc-1")
    assert known is not None
    incidents.put(connection, "inc-1", known._replace(body=b"no JSON"))
    (row,) = add("v1")
    assert (row.machine, row.condition, row.detector) == ("m1", made.CONDITION, "")


def test_what_the_file_cannot_hold_does_not_come_back_for_ever(add: Add) -> None:
    """Half a surrogate pair out of a JSON text, a date of the year 9999: a message that raised would be told again and again."""
    (row,) = add("v\ud800", comment="\udfff!", t_ns=253_402_300_799 * 10**9)
    assert (row.id, row.comment, row.t_ns) == ("v?", "?!", 2**63 - 1)
    assert add("v\ud800") == []
    assert add("v2", t_ns=-5)[0].t_ns == 0


def test_texts_are_cut_but_two_ids_never_become_one(add: Add) -> None:
    (row,) = add("v" * 500, by="E" * 500, comment="c" * 9_000, case="1" * 500)
    assert [len(text) for text in (row.id, row.by, row.comment, row.case_number)] == [200, 200, 4_000, 200]
    assert add("v" * 500) == []
    assert len(add("v" * 501)) == 1


def test_precision_is_one_vote_per_incident_and_the_last_one_counts(add: Add, connection: sqlite3.Connection) -> None:
    add("v1", FALSE, "inc-1")
    add("v2", TRUE, "inc-1")
    add("v3", FALSE, "inc-2")
    add("v4", FALSE, "inc-2")
    add("v5", MAINTENANCE, "inc-3")
    assert labels.precision(connection) == {"anomaly-1": Votes(true_positive=1, false_alarm=1), "river-1": Votes(maintenance=1)}
    assert labels.precision(connection)["anomaly-1"].precision == 0.5
    assert labels.precision(connection)["river-1"].precision is None


def test_precision_of_late_looks_at_when_the_last_verdict_came(add: Add, connection: sqlite3.Connection, made: Any) -> None:
    add("v1", FALSE, "inc-1", now_ns=made.T0)
    add("v2", FALSE, "inc-2", now_ns=made.T0)
    add("v3", TRUE, "inc-1", now_ns=made.T0 + 10)
    assert labels.precision(connection, made.T0 + 5) == {"anomaly-1": Votes(true_positive=1)}


def test_learning_goes_on_behind_the_mark(add: Add, connection: sqlite3.Connection) -> None:
    for n in range(5):
        add(f"v{n}")
    assert [row.id for row in labels.unlearnt(connection, 2)] == ["v0", "v1"]
    labels.learnt(connection, 2)
    assert [row.id for row in labels.unlearnt(connection, 9)] == ["v2", "v3", "v4"]


def test_a_salvaged_file_may_have_lost_the_mark_or_the_last_labels(add: Add, connection: sqlite3.Connection) -> None:
    for n in range(5):
        add(f"v{n}")
    connection.execute("INSERT INTO tuning VALUES ('anomaly-1', 'm1', 'c', 1.1, 3)")
    assert [row.id for row in labels.unlearnt(connection, 9)] == ["v3", "v4"]  # the mark is gone: what moved something was learnt
    labels.learnt(connection, 5)
    connection.execute("DELETE FROM label WHERE number > 2")
    connection.execute("DELETE FROM sqlite_sequence")
    assert labels.unlearnt(connection, 9) == []
    add("new")
    assert [(row.number, row.id) for row in labels.unlearnt(connection, 9)] == [(3, "new")]
    assert connection.execute("SELECT label FROM tuning").fetchone() == (2,)


def test_the_judgement_that_stood_before(add: Add, connection: sqlite3.Connection) -> None:
    rows = [add(f"v{n}", judgement)[0] for n, judgement in enumerate([FALSE, TRUE, TRUE])]
    add("v9", MAINTENANCE, "inc-2")
    assert [labels.before(connection, row) for row in rows] == ["", "false_alarm", "true_positive"]


def test_there_are_never_more_than_so_many(add: Add, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MOST", 3)
    for n in range(7):
        add(f"v{n}")
    assert [row.id for row in labels.recent(connection, 9)] == ["v6", "v5", "v4"]
