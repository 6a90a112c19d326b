"""The audit's chain: every way somebody could change it is found, and the gateway's own ways are not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.outbox import audit as chain
from gateway.outbox import audit_head
from gateway.outbox.audit import Line, audit, last, rechain, shorten, verify
from gateway.outbox.audit_head import advance, compare
from gateway.outbox.database import FILE_NAME, open_database

Change = Callable[[sqlite3.Connection], object]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made, _ = open_database(tmp_path)
    with closing(made):
        write(made, 10)
        advance(tmp_path, tmp_path / FILE_NAME)
        audit_head.remember(made)
        yield made


def write(connection: sqlite3.Connection, count: int, who: str = "eva") -> None:
    for _ in range(count):
        number, _ = last(connection)
        audit(connection, who=who, what="write", name=f"press-07/t{number + 1}", before="1", after="2\u00e4", now_ns=number)


def found(connection: sqlite3.Connection, folder: Path) -> str:
    head = audit_head.read(folder)
    return str(verify(connection, head.accepted if head else 0) or compare(connection, head) or "")


def test_what_was_written_is_sound(connection: sqlite3.Connection, tmp_path: Path) -> None:
    assert found(connection, tmp_path) == ""
    write(connection, 5)
    assert found(connection, tmp_path) == ""  # the head is behind: a crash leaves it so


@pytest.mark.parametrize("column", chain.COLUMNS[1:])
def test_a_line_that_was_changed(connection: sqlite3.Connection, tmp_path: Path, column: str) -> None:
    value = "7" if column == "at_ns" else "'tom'"
    connection.execute(f"UPDATE audit SET {column}={value} WHERE number=4")
    assert found(connection, tmp_path) == "line 4 is not what was written, or not where"


def forge(connection: sqlite3.Connection) -> None:
    """Somebody who knows how the chain is made changes a line and mends all hashes behind it."""
    connection.execute("UPDATE audit SET who='tom' WHERE number=4")
    previous = chain.hash_of(connection, 3) or b""
    for line, _ in [each for each in chain.lines(connection) if each[0].number >= 4]:
        previous = line.hash(previous)
        connection.execute("UPDATE audit SET hash=? WHERE number=?", (previous, line.number))


def insert(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE audit SET number=-number WHERE number > 5")
    connection.execute("UPDATE audit SET number=1-number WHERE number < 0")
    line = Line(6, 1, "tom", "x", "", "", "")
    statement = "INSERT INTO audit (number, at_ns, who, what, name, before, after, hash) VALUES (?,?,?,?,?,?,?,?)"
    connection.execute(statement, (*line, line.hash(chain.hash_of(connection, 5) or b"")))


def swap(connection: sqlite3.Connection) -> None:
    for old, new in ((4, -1), (5, 4), (-1, 5)):
        connection.execute("UPDATE audit SET number=? WHERE number=?", (new, old))


def renumber(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM audit WHERE number=3")
    connection.execute("UPDATE audit SET number=-number WHERE number > 3")
    connection.execute("UPDATE audit SET number=-number-1 WHERE number < 0")


CUT, BEFORE = "and what came after it is missing: audit.head knows 10 lines", "stands before the beginning of the chain: it was put in"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.execute("DELETE FROM audit WHERE number=6"), "line 6 is missing"),
        (lambda c: c.execute("DELETE FROM audit WHERE number BETWEEN 1 AND 3"), "line 1 is missing"),
        (lambda c: c.execute("DELETE FROM audit WHERE number > 8"), "line 9 and what came after it is missing: audit.head knows 10 lines"),
        (lambda c: c.execute("DELETE FROM audit"), "line 1 and what came after it is missing: audit.head knows 10 lines"),
        (
            lambda c: c.execute("UPDATE audit SET number=0 WHERE number=10"),
            "line 0 stands before the beginning of the chain: it was put in",
        ),
        (renumber, "line 3 is not what was written, or not where"),
        (insert, "line 7 is not what was written, or not where"),
        (swap, "line 4 is not what was written, or not where"),
        (forge, "line 10 is not the one audit.head knows"),
        (rechain, ""),
    ],
    ids=[
        "deleted",
        "oldest deleted",
        "end cut off",
        "all deleted",
        "put before",
        "deleted and renumbered",
        "inserted",
        "swapped",
        "forged",
        "same",
    ],
)
def test_lines_that_were_removed_put_in_or_moved(connection: sqlite3.Connection, tmp_path: Path, change: Change, said: str) -> None:
    change(connection)
    assert found(connection, tmp_path) == said


def test_an_end_that_was_cut_off_stays_found_when_the_gateway_writes_on(connection: sqlite3.Connection, tmp_path: Path) -> None:
    connection.execute("DELETE FROM audit WHERE number > 8")
    write(connection, 20, who="tom")
    bad = advance(tmp_path, tmp_path / FILE_NAME)
    assert str(bad) == "line 10 is not the one audit.head knows"
    assert found(connection, tmp_path) == "line 10 is not the one audit.head knows"


def test_a_head_that_was_removed_is_missed(connection: sqlite3.Connection, tmp_path: Path) -> None:
    (tmp_path / audit_head.NAME).unlink()
    assert "audit.head is gone" in str(advance(tmp_path, tmp_path / FILE_NAME))
    assert "audit.head is gone" in found(connection, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b'{"number": "x"}', b'{"number": 3, "hash": ""}', b"[" * 100_000, b"\xff", b'{"number": 1.5, "hash": ""}'),
        *(b'{"number": "3", "hash": ""}', b'{"number": null, "hash": null}', b'{"number": 3, "hash": "", "accepted": "x"}'),
    ],
)
def test_a_head_that_was_changed_is_no_head(connection: sqlite3.Connection, tmp_path: Path, content: bytes) -> None:
    (tmp_path / audit_head.NAME).write_bytes(content)
    assert found(connection, tmp_path) != ""
    assert advance(tmp_path, tmp_path / FILE_NAME) is not None


class TestShortened:
    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(chain, "MOST", 20)
        monkeypatch.setattr(chain, "SLACK", 5)

    def test_it_begins_later_and_stays_sound(self, connection: sqlite3.Connection, tmp_path: Path) -> None:
        for _ in range(60):
            write(connection, 1)
            shorten(connection, 0)
            assert found(connection, tmp_path) == ""
        count, first = connection.execute("SELECT count(*), min(number) FROM audit").fetchone()
        assert (count <= 26, first > 40) == (True, True)
        advance(tmp_path, tmp_path / FILE_NAME)
        connection.execute("DELETE FROM audit WHERE number=?", (first,))
        assert found(connection, tmp_path) == f"line {first} is missing"

    def test_nobody_shortens_it_further_than_the_gateway_does(self, connection: sqlite3.Connection, tmp_path: Path) -> None:
        cut = (chain.hash_of(connection, 5) or b"").hex()
        audit(connection, who="the gateway", what=chain.SHORTENED, name="5", before="", after=cut, now_ns=0)
        connection.execute("DELETE FROM audit WHERE number <= 5")
        assert found(connection, tmp_path) == "line 1 is missing"


def test_nobody_accepts_a_broken_chain_without_its_head(connection: sqlite3.Connection, tmp_path: Path) -> None:
    connection.execute("DELETE FROM audit WHERE number=3")
    number, before = last(connection)
    audit(connection, who="tom", what=chain.ACCEPTED, name=str(number), before="", after=before.hex(), now_ns=0)
    assert found(connection, tmp_path) == "line 3 is missing"


def test_a_line_that_accepted_and_was_changed_is_found(connection: sqlite3.Connection, tmp_path: Path) -> None:
    number, before = last(connection)
    audit(connection, who="tom", what=chain.ACCEPTED, name=str(number), before="", after=before.hex(), now_ns=0)
    mine, here = last(connection)
    audit_head.keep(tmp_path, audit_head.Head(mine, here.hex(), mine))
    assert found(connection, tmp_path) == ""
    connection.execute("UPDATE audit SET after='g' WHERE number=?", (mine,))
    assert found(connection, tmp_path) == f"line {mine} is not what was written, or not where"


def test_a_name_that_is_no_utf8_is_written_all_the_same(connection: sqlite3.Connection, tmp_path: Path) -> None:
    audit(connection, who="eva", what="configuration loaded", name="/etc/lineside/M\udcfcller.yaml", before="", after="\ud800", now_ns=0)
    assert found(connection, tmp_path) == ""
    (newest,) = chain.newest(connection, 1)
    assert (newest.name, newest.after) == ("/etc/lineside/M\\udcfcller.yaml", "\\ud800")


def test_lines_of_a_version_without_a_chain_get_one(tmp_path: Path) -> None:
    made, _ = open_database(tmp_path)
    with closing(made):
        write(made, 5)
        made.execute("DELETE FROM audit WHERE number <= 2")
        made.execute("ALTER TABLE audit DROP COLUMN hash")
        made.execute("DELETE FROM _sqlite_migrations WHERE name >= 'm004'")
        made.execute("PRAGMA user_version=3")
    again, replaced = open_database(tmp_path)
    with closing(again):
        assert replaced is None
        assert [line.name for line, _ in chain.lines(again)] == ["press-07/t3", "press-07/t4", "press-07/t5"]
        assert verify(again) is None


def test_an_export_that_breaks_off_leaves_no_half_a_file(
    connection: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "audit.jsonl", chain.lines

    def torn(connection: sqlite3.Connection) -> Iterator[tuple[Line, bytes]]:
        yield next(whole(connection))
        raise sqlite3.DatabaseError("database disk image is malformed")

    arguments = ["audit", "export", str(out), "--state-dir", str(tmp_path)]
    monkeypatch.setattr("gateway.commands.audit.lines", torn)
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, "is damaged" in done.output, out.exists()) == (1, True, False)
    monkeypatch.undo()
    assert CliRunner().invoke(main, arguments).output == f"10 lines in {out}\n"
    assert (out.stat().st_mode & 0o777, len(out.read_text().splitlines())) == (0o600, 10)
    again = CliRunner().invoke(main, arguments)
    assert (again.exit_code, "File exists" in again.output) == (1, True)
