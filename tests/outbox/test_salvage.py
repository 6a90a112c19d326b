"""What a damaged file still holds is taken over; what it does not is counted; a kill on the way changes nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from gateway.contract import SENT, Outcome
from gateway.outbox import database, lease, ledger, tally
from gateway.outbox.append import Addressed, IncidentRow, append, next_sequence
from gateway.outbox.database import FILE_NAME, Replaced, open_database, suspect
from gateway.outbox.pick import Wanted
from gateway.outbox.salvage import REASON, _Reader
from gateway.testkit import temporary
from gateway.testkit.rigs import event

NOW_NS = 1_800_000_000_000_000_000
COUNT = 2000


def filled(folder: Path) -> Path:
    """2,000 events for two destinations, some delivered, one parked; ten incidents; a ledger line."""
    shutil.copytree(_filled(), folder, dirs_exist_ok=True)
    return folder / FILE_NAME


@cache
def _filled() -> Path:
    folder = temporary.folder("filled")
    db, _ = open_database(folder)
    incidents = [IncidentRow(f"inc-{n}", "press-07", f"c{n}", "open", n, n, n, b'{"n":%d}' % n) for n in range(1, 11)]
    append(db, incidents, [])
    for start in range(0, COUNT, 100):
        append(db, [], [Addressed(event(n, data=b"y" * 600), ("crm", "plant")) for n in range(start, start + 100)])
    events = lease.lease(db, "crm", Wanted(11), NOW_NS)
    lease.settle(db, "crm", events, [*[SENT] * 10, Outcome.park("no")], NOW_NS)
    ledger.note_loss(db, what="readings", name="press-07", from_ns=1, to_ns=2, count=3, reason="queue_full", now_ns=NOW_NS)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()
    return folder


def reopened(folder: Path) -> tuple[sqlite3.Connection, Replaced]:
    db, replaced = open_database(folder, ("crm", "plant"), NOW_NS)
    assert replaced is not None
    return db, replaced


def law(db: sqlite3.Connection) -> None:
    rows = tally.count_ready(db)
    for name, counts in tally.backlog(db).items():
        assert counts["ready"] == rows[name]
    held = "SELECT seq FROM delivery UNION SELECT seq FROM dead_letter"
    assert db.execute(f"SELECT count(*) FROM ({held}) WHERE seq NOT IN (SELECT seq FROM event)").fetchone() == (0,)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_sound_file_that_is_only_suspected_loses_nothing(tmp_path: Path) -> None:
    filled(tmp_path)
    suspect(tmp_path, "a bit flip was seen")
    db, replaced = reopened(tmp_path)
    assert replaced.problem == "a bit flip was seen"
    found = replaced.salvage
    assert (found.events, found.incidents, found.lost_events, found.lost_incidents) == (COUNT, 10, 0, 0)
    counts = tally.backlog(db)["crm"]
    assert (counts["stored"], counts["delivered"], counts["parked"], counts["ready"]) == (COUNT, 10, 1, COUNT - 11)
    assert next_sequence(db) == COUNT + 1
    assert [line.reason for line in ledger.lines(db)] == ["queue_full"]
    law(db)
    db.close()
    again, replaced_again = open_database(tmp_path)
    assert replaced_again is None
    again.close()


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.long) for seed in (3, 4, 5))])
def test_pages_that_were_overwritten_cost_what_was_on_them_and_no_more(tmp_path: Path, seed: int) -> None:
    path = filled(tmp_path)
    pages, rng = path.stat().st_size // 4096, __import__("random").Random(seed)
    hit = rng.sample(range(1, pages), 5)
    with path.open("r+b") as file:
        for page in hit:
            file.seek(page * 4096)
            file.write(rng.randbytes(4096))
    suspect(tmp_path, "pages overwritten")
    db, replaced = reopened(tmp_path)
    found = replaced.salvage
    assert found.events >= COUNT * 0.5
    for destination in ("crm", "plant"):
        for each in lease.lease(db, destination, Wanted(COUNT), NOW_NS):
            assert each.data == b"y" * 600
    if found.lost_events:
        lines = Counter({line.reason: line.count for line in ledger.lines(db) if line.name in ("crm", "plant")})
        assert lines[REASON] > 0
    assert next_sequence(db) > COUNT
    law(db)
    db.close()


def test_when_nobody_knows_who_waits_everybody_gets_it(tmp_path: Path) -> None:
    path = filled(tmp_path)
    db = sqlite3.connect(path)
    (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name='delivery'").fetchone()
    db.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(os.urandom(4096))
    db, replaced = reopened(tmp_path)
    assert replaced.salvage.events == COUNT
    assert set(tally.count_ready(db).values()) <= {COUNT - 1, COUNT}
    law(db)
    db.close()


def rows_of(db: sqlite3.Connection, destination: str) -> set[int]:
    return {row[0] for row in db.execute("SELECT seq FROM delivery WHERE destination=?", (destination,))}


def deliver(folder: Path, destination: str, count: int) -> set[int]:
    """To its receiver; returns what still waits."""
    db, _ = open_database(folder)
    events = lease.lease(db, destination, Wanted(count), NOW_NS)
    lease.settle(db, destination, events, [SENT] * count, NOW_NS)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    waits = rows_of(db, destination)
    db.close()
    return waits


def overwrite(path: Path, *pages: int) -> None:
    with path.open("r+b") as file:
        for page in pages:
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)


def leaves(path: Path, word: bytes) -> list[int]:
    """Pages of a key with this in it, in the order of the file."""
    content = path.read_bytes()
    pages = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    return [number for number, page in enumerate(pages) if page[0] == 0x0A and page.count(word) > 100]


@pytest.mark.parametrize("tally_is_gone", [False, True])
def test_what_another_destination_still_holds_is_not_lost_for_the_one_whose_rows_are_gone(tmp_path: Path, tally_is_gone: bool) -> None:
    path = filled(tmp_path)
    waits = deliver(tmp_path, "plant", 300)
    hit = leaves(path, b"plant")[2]
    overwrite(path, hit)
    if tally_is_gone:
        db = sqlite3.connect(path)
        (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name='tally'").fetchone()
        db.close()
        overwrite(path, root - 1)
    suspect(tmp_path, "a page is gone")
    db, _ = reopened(tmp_path)
    assert waits <= rows_of(db, "plant")
    assert len(rows_of(db, "plant") - waits) < 100, "what it has taken long ago does not come again"
    assert len(rows_of(db, "crm")) == COUNT - 11
    law(db)
    db.close()


def test_rows_that_vanished_without_an_error_are_missed_all_the_same(tmp_path: Path) -> None:
    path = filled(tmp_path)
    waits = deliver(tmp_path, "plant", 300)
    db = sqlite3.connect(path)
    db.execute("DELETE FROM delivery WHERE destination='plant' AND seq BETWEEN 700 AND 720")
    db.execute("DELETE FROM delivery WHERE destination='crm' AND seq=710")
    db.commit()
    db.close()
    suspect(tmp_path, "a test")
    db, replaced = reopened(tmp_path)
    assert waits <= rows_of(db, "plant")
    assert 710 in rows_of(db, "crm")
    assert (replaced.salvage.events, replaced.salvage.lost_events) == (COUNT - 10, 0), "ten were delivered to both"
    law(db)
    db.close()


def test_what_went_to_one_destination_only_is_given_to_no_other(tmp_path: Path) -> None:
    path = filled(tmp_path)
    db, _ = open_database(tmp_path)
    append(db, [], [Addressed(event(n), ("crm",)) for n in range(COUNT, COUNT + 100)])
    db.close()
    overwrite(path, leaves(path, b"plant")[-1])
    suspect(tmp_path, "a page is gone")
    db, _ = reopened(tmp_path)
    assert max(rows_of(db, "plant")) == COUNT
    assert len(rows_of(db, "crm")) == COUNT + 100 - 11
    law(db)
    db.close()


@pytest.mark.parametrize("table", ["label", "audit", "ledger", "incident", "tally", "breaker"])
def test_another_table_that_is_gone_costs_no_event(tmp_path: Path, table: str) -> None:
    path = filled(tmp_path)
    db = sqlite3.connect(path)
    (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name=?", (table,)).fetchone()
    db.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    suspect(tmp_path, "a page is gone")
    db, replaced = reopened(tmp_path)
    assert replaced.salvage.events == COUNT
    assert tally.count_ready(db) == {"crm": COUNT - 11, "plant": COUNT}
    law(db)
    db.close()


def test_a_damaged_file_of_version_1_is_understood(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.executescript((Path(__file__).parent / "version_1.sql").read_text(encoding="utf-8"))
    db.close()
    suspect(tmp_path, "a test")
    db, replaced = reopened(tmp_path)
    assert (replaced.salvage.events, replaced.salvage.lost_events) == (3, 0)
    counts = tally.backlog(db)
    assert set(counts) == {"crm"}, "nobody else gets them"
    assert (counts["crm"]["ready"], counts["crm"]["parked"], counts["crm"]["aged"]) == (2, 1, 1)
    assert [e.sequence for e in lease.lease(db, "crm", Wanted(9), NOW_NS)] == [4, 2]
    law(db)
    db.close()


def test_a_row_whose_checksum_is_wrong_is_left_behind_and_counted(tmp_path: Path) -> None:
    path = filled(tmp_path)
    db = sqlite3.connect(path)
    db.execute("UPDATE event SET data=x'00' WHERE seq IN (100, 200)")
    db.execute("UPDATE incident SET body=x'00' WHERE id='inc-3'")
    db.commit()
    db.close()
    suspect(tmp_path, "checksums")
    db, replaced = reopened(tmp_path)
    found = replaced.salvage
    assert (found.events, found.lost_events, found.incidents, found.lost_incidents) == (COUNT - 2, 4, 9, 1)
    assert tally.backlog(db)["plant"]["damaged"] == 2
    assert sorted((line.what, line.name, line.count) for line in ledger.lines(db) if line.reason == REASON) == [
        ("events", "crm", 2),
        ("events", "plant", 2),
        ("incidents", "gateway", 1),
    ]
    law(db)
    db.close()


@pytest.mark.parametrize("stop", ["before", "between", "after"])
def test_killed_during_the_salvage_it_is_done_again(tmp_path: Path, stop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step leaves something from which the next start goes on."""
    filled(tmp_path)
    suspect(tmp_path, "a test")

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    where = {"before": ("salvage", killed), "between": ("_set_aside", killed), "after": ("_sync", killed)}[stop]
    with monkeypatch.context() as patch:
        patch.setattr(database, *where)
        with pytest.raises(Killed):
            open_database(tmp_path, ("crm", "plant"), NOW_NS)
    db, _ = open_database(tmp_path, ("crm", "plant"), NOW_NS)
    assert db.execute("SELECT count(*) FROM event").fetchone() == (COUNT,)
    law(db)
    db.close()


def test_killed_between_the_two_renames_the_salvaged_file_is_taken(tmp_path: Path) -> None:
    path = filled(tmp_path)
    path.rename(tmp_path / f"{FILE_NAME}.salvaged")
    db, replaced = open_database(tmp_path)
    assert replaced is None
    assert db.execute("SELECT count(*) FROM event").fetchone() == (COUNT,)
    db.close()


def test_damage_beyond_the_first_look_is_found_by_the_whole_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one long row, which SQLite looks at in one step, as it does at a whole tree."""
    path = filled(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE large (piece BLOB)")
        db.execute("INSERT INTO large VALUES (zeroblob(60000000))")
    with path.open("r+b") as file:
        file.seek((path.stat().st_size // 4096 - 100) * 4096)
        file.write(b"\xff" * 4)  # where the row goes on
    assert database.damage(path) is not None
    monkeypatch.setattr(database, "_LOOK_SECONDS", 0.001)
    assert database.damage(path, database.within(-1.0)) is None, "it was not looked at whole"


def test_version_1_is_migrated_with_everything_in_it(tmp_path: Path) -> None:
    """A file as the first release left it."""
    path = tmp_path / FILE_NAME
    script = (Path(__file__).parent / "version_1.sql").read_text(encoding="utf-8")
    db = sqlite3.connect(path)
    db.executescript(script)
    db.close()
    db, replaced = open_database(tmp_path)
    assert replaced is None
    counts = tally.backlog(db)["crm"]
    assert (counts["stored"], counts["delivered"], counts["ready"], counts["parked"], counts["aged"]) == (5, 1, 2, 1, 1)
    assert [(e.id, e.sequence) for e in lease.lease(db, "crm", Wanted(9), NOW_NS)] == [("ev-00000004", 4), ("ev-00000002", 2)]
    assert [line.reason for line in ledger.lines(db)] == ["older than keep_events_days"]
    assert next_sequence(db) == 6
    law(db)
    db.close()


@pytest.mark.parametrize("column", ["delivery SET reason", "ledger SET name"])
def test_text_that_is_no_text_any_more_keeps_nobody_from_starting(tmp_path: Path, column: str) -> None:
    path = filled(tmp_path)
    db = sqlite3.connect(path)
    db.execute(f"UPDATE {column}=CAST(x'61ff62' AS TEXT)")
    db.commit()
    db.close()
    suspect(tmp_path, "a test")
    db, replaced = reopened(tmp_path)
    assert (replaced.salvage.events, replaced.salvage.lost_events) == (COUNT, 0)
    law(db)
    db.close()


def test_killed_between_the_renames_of_the_damaged_file_its_wal_is_not_missed(tmp_path: Path) -> None:
    """The complete new file is taken, whatever of the old one is still in its place."""
    path = filled(tmp_path)
    (tmp_path / "old").mkdir()
    for suffix in ("", "-wal"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            (tmp_path / "old" / file.name).write_bytes(file.read_bytes())
    path.rename(tmp_path / f"{FILE_NAME}.salvaged")
    older, _ = open_database(tmp_path / "new")
    older.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    older.close()
    (tmp_path / "new" / FILE_NAME).rename(path)  # what is left of the damaged one, without its WAL: it knows of no event
    suspect(tmp_path, "a test")
    db, replaced = open_database(tmp_path, ("crm", "plant"), NOW_NS)
    assert replaced is None
    assert db.execute("SELECT count(*) FROM event").fetchone() == (COUNT,)
    law(db)
    db.close()


def test_a_file_whose_end_was_cut_off_gives_what_is_before_it(tmp_path: Path) -> None:
    file = filled(tmp_path)
    os.truncate(file, file.stat().st_size * 3 // 4)
    db, replaced = reopened(tmp_path)
    found = replaced.salvage
    assert found.events > COUNT // 4
    assert found.events + (found.lost_events or 0) >= COUNT
    law(db)
    db.close()


def test_of_a_file_that_is_none_no_sequence_is_given_again_and_the_loss_is_told(tmp_path: Path) -> None:
    file = filled(tmp_path)
    with file.open("r+b") as out:
        out.write(bytes(4096))
    db, replaced = reopened(tmp_path)
    assert replaced.salvage.unreadable
    assert next_sequence(db) > NOW_NS // 1000
    assert db.execute("SELECT what, name, count, reason FROM ledger ORDER BY id").fetchall() == [
        ("events", "crm", None, REASON),
        ("events", "plant", None, REASON),
    ]
    db.close()


def test_a_table_that_is_gone_altogether_does_not_hold_up_the_start(tmp_path: Path) -> None:
    file = filled(tmp_path)
    with closing(sqlite3.connect(file)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name='incident'").fetchone()
    with file.open("r+b") as out:
        out.seek((root - 1) * 4096)
        out.write(bytes(4096))
    asked: list[str] = []
    with closing(sqlite3.connect(file)) as db:
        db.set_trace_callback(asked.append)
        rows = list(_Reader(db).span("incident", "rowid", "1", 1 << 24))
    assert rows == []
    assert len(asked) < 25_000
    db, replaced = reopened(tmp_path)
    assert replaced.salvage.events == COUNT
    db.close()
