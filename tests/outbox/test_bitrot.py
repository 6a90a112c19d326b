"""One flipped bit, anywhere in the file: nothing damaged is sent as good, nothing is lost without a word, nobody hangs."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.commands.outbox import count_all
from gateway.contract import SENT, Event, Outcome
from gateway.outbox import lease
from gateway.outbox.append import Addressed, IncidentRow, append
from gateway.outbox.database import FILE_NAME, open_database, suspect, unbalanced
from gateway.outbox.pick import Wanted
from gateway.testkit.rigs import event

NOW_NS = 1_800_000_000_000_000_000
NAMES = ("crm", "plant")
EVENTS = {each.id: each for each in (event(n, data=b'{"v":"' + bytes([97 + n % 20]) * 60 + b'"}') for n in range(40))}
DELIVERED, PARKED = 5, 2


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("sound")
    db, _ = open_database(folder)
    rows = [IncidentRow(f"inc-{n}", "m", f"c{n}", "open", NOW_NS, NOW_NS, NOW_NS, b'{"n":%d}' % n) for n in range(10)]
    append(db, rows, [Addressed(each, NAMES) for each in EVENTS.values()])
    first = lease.lease(db, "crm", Wanted(DELIVERED + PARKED), NOW_NS)
    assert isinstance(first, list)
    lease.settle(db, "crm", first, [SENT] * DELIVERED + [Outcome.park("no", code="X")] * PARKED, NOW_NS)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()
    return (folder / FILE_NAME).read_bytes()


def started(folder: Path) -> sqlite3.Connection:
    """As the gateway does, with what its look at the whole file finds; a start that ends with damage is made again."""
    for _ in range(2):
        db, _ = open_database(folder, NAMES, NOW_NS)
        problem = unbalanced(folder / FILE_NAME)
        if problem is None:
            return db
        db.close()
        suspect(folder, problem)
    return open_database(folder, NAMES, NOW_NS)[0]


def drain(db: sqlite3.Connection, name: str, sent: list[Event]) -> None:
    for _ in range(len(EVENTS)):
        batch = lease.lease(db, name, Wanted(10), NOW_NS)
        assert isinstance(batch, list)
        if not batch:
            break
        sent += batch
        lease.settle(db, name, batch, [SENT] * len(batch), NOW_NS)


def look(folder: Path) -> None:
    sent: dict[str, list[Event]] = {name: [] for name in NAMES}
    db = started(folder)
    try:
        for name in NAMES:
            drain(db, name, sent[name])
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as exc:  # the process ends with it, and the next start salvages
        db.close()
        suspect(folder, str(exc))
        db = started(folder)
        for name in NAMES:
            drain(db, name, sent[name])
    with closing(db):
        for name in NAMES:
            for each in sent[name]:
                assert replace(each, sequence=0) == replace(EVENTS[each.id], sequence=0), "damaged, and sent as good"
            counts = count_all(db, name)
            assert counts["balanced"], counts
            wanted = set(list(EVENTS)[DELIVERED + PARKED :] if name == "crm" else EVENTS)
            missing = wanted - {each.id for each in sent[name]}
            assert len(missing) <= counts["quarantined"] + counts["damaged"], f"lost without a word: {counts}"


def flipped(raw: bytes, position: int, bit: int, folder: Path) -> None:
    damaged = bytearray(raw)
    damaged[position] ^= 1 << bit
    (folder / FILE_NAME).write_bytes(damaged)


@pytest.mark.parametrize("seed", range(30))
def test_anywhere(sound: bytes, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    flipped(sound, dice.randrange(100, len(sound)), dice.randrange(8), tmp_path)
    look(tmp_path)


@pytest.mark.parametrize(
    ("what", "after"),
    [
        (b"partitionkey  TEXT", 0),  # a column gets another name
        (b"count       INTEGER", 12),  # a type that is none
        (b"CREATE TABLE delivery", 3),  # a table that cannot be understood
        (b"crmdelivered", 4),  # a count that nobody asks for
        (b"ev-00000020", 9),
        (b"ev-00000030", 0),
    ],
)
@pytest.mark.parametrize("bit", [0, 7])
def test_where_it_hurts_most(sound: bytes, tmp_path: Path, what: bytes, after: int, bit: int) -> None:
    places = [at for at in range(len(sound)) if sound.startswith(what, at)]
    assert places
    flipped(sound, places[0] + after, bit, tmp_path)
    look(tmp_path)


def test_a_delivery_that_belongs_to_nobody_any_more_is_missed(tmp_path: Path) -> None:
    for statement in ("destination='crn'", "seq=seq+1000"):
        folder = tmp_path / statement.replace("'", "")
        db, _ = open_database(folder)
        append(db, [], [Addressed(each, NAMES) for each in EVENTS.values()])
        assert unbalanced(folder / FILE_NAME) is None
        db.execute(f"UPDATE delivery SET {statement} WHERE destination='crm' AND seq=7")
        db.close()
        assert unbalanced(folder / FILE_NAME) is not None
        with suppress(FileNotFoundError):
            look(folder)
