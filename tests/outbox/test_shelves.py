"""Shelves end, whatever happens to the clock; they outlive a damaged outbox."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.contract import Severity
from gateway.outbox import shadow, shelves
from gateway.outbox.database import open_database, suspect
from gateway.outbox.shadow import ShadowAlarm
from gateway.outbox.shelves import Shelf

NOW = 1_800_000_000_000_000_000
HOUR = 3600 * 1_000_000_000
DAY = 24 * HOUR
OIL = Shelf(0, "press-*", "oil_?igh", False, NOW, NOW + 8 * HOUR, "Eva", "pump")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection, _ = open_database(tmp_path)
    yield connection
    connection.close()


def test_it_covers_what_its_patterns_say_and_what_is_critical_only_if_it_is_for_that() -> None:
    assert OIL.covers("press-07", "oil_high", Severity.ERROR)
    assert not OIL.covers("press-07", "oil_high_high", Severity.ERROR)
    assert not OIL.covers("cnc-07", "oil_high", Severity.ERROR)
    assert not OIL.covers("press-07", "oil_high", Severity.CRITICAL)
    assert OIL._replace(critical=True).covers("press-07", "oil_high", Severity.CRITICAL)


@pytest.mark.parametrize(("now", "left"), [(NOW, 1), (OIL.until_ns - 1, 1), (OIL.until_ns, 0), (NOW - 8 * DAY, 0)])
def test_it_ends_in_time_and_when_the_clock_was_set_back_far(file: sqlite3.Connection, now: int, left: int) -> None:
    shelves.add(file, OIL)
    over = shelves.expire(file, now)
    assert (len(shelves.those(file, now)), len(over)) == (left, 1 - left)
    assert file.execute("SELECT count(*) FROM audit WHERE what='shelf expired'").fetchone() == (1 - left,)
    assert shelves.expire(file, now) == []


def test_it_outlives_a_damaged_outbox(tmp_path: Path) -> None:
    connection, _ = open_database(tmp_path)
    kept = shelves.add(connection, OIL)
    shadow.keep(connection, [ShadowAlarm("oil", "inc-1", "press-07", "oil_high", NOW, "oil")])
    connection.close()
    suspect(tmp_path, "a test")
    connection, replaced = open_database(tmp_path, (), NOW)
    assert replaced is not None
    assert shelves.those(connection, NOW) == [kept]
    assert shadow.counts(connection, 0) == {"oil": 1}
    connection.close()


def test_alarms_of_trials_are_kept_once_and_not_for_ever(file: sqlite3.Connection) -> None:
    made = [ShadowAlarm("oil", f"inc-{n}", "press-07", "oil_high", NOW - n * DAY, f"oil {n}") for n in (0, 6, 8, 31)]
    shadow.keep(file, made)
    shadow.keep(file, [made[0]._replace(at_ns=NOW + 1), made[0]._replace(watch="coil")])
    assert shadow.counts(file, NOW - 7 * DAY) == {"oil": 2, "coil": 1}
    assert [alarm.title for alarm in shadow.recent(file, "oil", 2)] == ["oil 0", "oil 6"]
    shadow.forget(file, NOW)
    assert shadow.counts(file, 0) == {"oil": 3, "coil": 1}
