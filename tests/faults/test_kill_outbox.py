"""`kill -9` while the outbox is migrated, while it is salvaged, and while a backlog drains: nothing is lost, nothing gets a second id."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.outbox import lease, tally
from gateway.outbox.append import Addressed, append
from gateway.outbox.database import FILE_NAME, open_database, suspect
from gateway.outbox.pick import Wanted
from gateway.outbox.rows import to_row
from gateway.testkit.rigs import event
from gateway.testkit.servers.https import Receiver

KILLS = int(os.environ.get("LINESIDE_KILLS", "1"))
SEED = int(os.environ.get("LINESIDE_SEED", "20270115"))
NOW_NS = time.time_ns()
EVENTS, DRAINED = 4_000, 1_200
OPEN = (
    "import sys; from pathlib import Path; from gateway.outbox.database import open_database; open_database(Path(sys.argv[1]), ('crm',), 1)"
)
CONFIG = """\
version: 1
site: {{enterprise: acme, site: test, gateway: drain}}
deliver:
  crm: {{https: "{https}", ca: "{ca}", mode: batch, timeout: 2s, batch: 25}}
gateway: {{state_dir: "{state}", page: "off"}}
"""


def version_1(folder: Path) -> None:
    """A file of the first release, large enough that its migration takes a while."""
    db = sqlite3.connect(folder / FILE_NAME)
    db.executescript((Path(__file__).parents[1] / "outbox" / "version_1.sql").read_text(encoding="utf-8"))
    rows = [to_row(event(n, data=b'{"y":"' + b"y" * 490 + b'"}'), n, 1)[:14] for n in range(100, 100 + EVENTS)]
    names = "seq,id,type,source,subject,time_ns,recorded_ns,severity,partitionkey,dataschema,correlationid,traceparent,data,crc"
    db.executemany(f"INSERT INTO event ({names}) VALUES ({','.join('?' * 14)})", rows)
    db.executemany("INSERT INTO delivery (seq, destination) VALUES (?, 'crm')", [(row[0],) for row in rows])
    db.execute("UPDATE tally SET count = count + ? WHERE what='stored'", (EVENTS,))
    db.commit()
    db.close()


def version_2(folder: Path, count: int) -> None:
    db, _ = open_database(folder)
    made = [replace(event(n, data=b'{"y":"' + b"y" * 490 + b'"}'), recorded_ns=NOW_NS, partitionkey=f"m{n % 7}") for n in range(count)]
    append(db, [], [Addressed(each, ("crm",)) for each in made])
    db.close()


async def opened_with_kills(folder: Path, dice: random.Random) -> int:
    """Open the file again and again, killed after a random while; at last let it finish. Returns how often it was killed."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", OPEN, str(folder / "dry"))
    await process.wait()
    import_seconds, killed = time.monotonic() - began, 0
    for _ in range(KILLS):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", OPEN, str(folder))
        try:
            await asyncio.wait_for(process.wait(), import_seconds * dice.uniform(0.6, 1.6))
        except TimeoutError:
            with suppress(ProcessLookupError):  # it may have ended just now
                process.kill()
            killed += await process.wait() == -signal.SIGKILL
        else:
            assert process.returncode == 0
            break
    return killed


def whole(folder: Path, expected: int) -> None:
    db, _ = open_database(folder, ("crm",), NOW_NS)
    counts = tally.backlog(db)["crm"]
    assert counts["ready"] == tally.count_ready(db)["crm"] == expected
    assert len({e.id for e in lease.lease(db, "crm", Wanted(1 << 20), NOW_NS)}) == expected
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()


@pytest.mark.timeout(max(120, 10 * KILLS))
async def test_killed_while_it_is_migrated(tmp_path: Path) -> None:
    version_1(tmp_path)
    await opened_with_kills(tmp_path, random.Random(SEED))
    whole(tmp_path, EVENTS + 2)


@pytest.mark.long  # in this process, at each place that matters: tests/outbox/test_salvage.py
@pytest.mark.timeout(max(120, 10 * KILLS))
async def test_killed_while_it_is_salvaged(tmp_path: Path) -> None:
    version_2(tmp_path, EVENTS)
    suspect(tmp_path, "a test")
    await opened_with_kills(tmp_path, random.Random(SEED))
    whole(tmp_path, EVENTS)


@pytest.mark.timeout(max(120, 10 * KILLS))
async def test_killed_while_a_backlog_drains(tmp_path: Path) -> None:
    dice, state = random.Random(SEED), tmp_path / "state"
    version_2(state, DRAINED)
    async with Receiver(tls=True) as crm:
        config = tmp_path / "lineside.yaml"
        config.write_text(CONFIG.format(https=crm.url, ca=crm.ca, state=state))
        command = [sys.executable, "-c", "from gateway.cli import main; main()", "run", str(config), "--log", "json"]
        for kill in range(KILLS + 1):
            with (tmp_path / "log").open("ab") as log:
                process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
            wanted = DRAINED if kill == KILLS else min(DRAINED, len(crm.order) + dice.randint(1, DRAINED // KILLS))
            async with asyncio.timeout(60):
                while len(crm.order) < wanted:
                    assert process.returncode is None, (tmp_path / "log").read_text()[-2000:]
                    await asyncio.sleep(0.005)
            os.kill(process.pid, signal.SIGTERM if kill == KILLS else signal.SIGKILL)
            await process.wait()
        if process.returncode:
            raise AssertionError((tmp_path / "log").read_text()[-2000:])
    assert set(crm.order) == {event(n).id for n in range(DRAINED)}
    for machine in range(7):
        mine = [identity for identity in crm.order if int(identity[3:]) % 7 == machine]
        assert mine == sorted(mine), "order within a machine"
    db, _ = open_database(state)
    counts = tally.backlog(db)["crm"]
    assert (counts["stored"], counts["delivered"], counts["ready"]) == (DRAINED, DRAINED, 0)
    assert db.execute("SELECT count(*) FROM event").fetchone() == (0,)
    db.close()
