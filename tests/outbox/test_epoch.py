"""A restored outbox: the leap in its sequences stands in nobody's way, also not when the file is damaged later."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateway.contract import ConfigError
from gateway.outbox import epoch
from gateway.outbox.append import Addressed, append, next_sequence
from gateway.outbox.database import FILE_NAME, open_database, suspect
from gateway.testkit.rigs import event

NOW_NS = 1_800_000_000_000_000_000
FIRST = NOW_NS // 1000
EACH = 60


def store(db: sqlite3.Connection, start: int) -> None:
    append(db, [], [Addressed(event(n, data=b"y" * 600), ("crm",)) for n in range(start, start + EACH)])


def restored(folder: Path) -> Path:
    db, _ = open_database(folder)
    store(db, 0)
    epoch.begin(db, backup_ns=NOW_NS - 10, now_ns=NOW_NS, who="test")
    store(db, EACH)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()
    return folder / FILE_NAME


def test_events_of_both_epochs_are_saved_from_a_file_with_a_damaged_page(tmp_path: Path) -> None:
    """Each page with events in turn: at the end of the old epoch there is a gap of 10^15 sequences, which must not be searched."""
    whole = restored(tmp_path / "whole").read_bytes()
    pages = [page for page in range(len(whole) // 4096) if b"y" * 600 in whole[page * 4096 : (page + 1) * 4096]]
    assert len(pages) > 20
    for page in pages:
        folder = tmp_path / str(page)
        folder.mkdir()
        (folder / FILE_NAME).write_bytes(whole[: page * 4096] + b"\xa5" * 4096 + whole[(page + 1) * 4096 :])
        suspect(folder, "a page was overwritten")
        db, replaced = open_database(folder, ("crm",), NOW_NS)
        saved = [row[0] for row in db.execute("SELECT seq FROM event")]
        assert next_sequence(db) > FIRST
        assert min(sum(seq < FIRST for seq in saved), sum(seq > FIRST for seq in saved)) >= EACH - 8, page
        assert replaced is not None
        db.close()


def test_each_restore_leaps_further_and_a_clock_that_does_not_is_refused(tmp_path: Path) -> None:
    restored(tmp_path)
    db, _ = open_database(tmp_path)
    with pytest.raises(ConfigError, match="clock"):
        epoch.begin(db, backup_ns=NOW_NS, now_ns=NOW_NS - 1, who="test")
    with pytest.raises(ConfigError, match="clock"):
        epoch.begin(db, backup_ns=NOW_NS - 5_000_000_000, now_ns=NOW_NS, who="test")
    second = epoch.begin(db, backup_ns=NOW_NS + 1, now_ns=NOW_NS + 1_000_000_000, who="test")
    assert second.first == FIRST + 1_000_000
    assert next_sequence(db) == second.first + 1
    assert [each.before for each in epoch.epochs(db)] == [EACH, FIRST + EACH]
    assert epoch.epochs(db)[-1].first < 2**53
    db.close()


def test_it_is_told_once(tmp_path: Path) -> None:
    restored(tmp_path)
    db, _ = open_database(tmp_path)
    assert not epoch.epochs(db)[-1].told
    epoch.mark_told(db)
    assert epoch.epochs(db)[-1].told
    db.close()
