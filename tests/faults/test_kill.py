"""`kill -9` at a random moment, once by default, between a real PLC, a real stream and an HTTPS receiver: ids there = ids committed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.testkit.servers.https import Receiver
from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.nats import NatsServer

# Row 1 of `make faults` kills twenty times, `make faults-night` sixty times here, each time with other dice.
KILLS = int(os.environ.get("LINESIDE_KILLS", "1"))
SEED = int(os.environ.get("LINESIDE_SEED", "20270115"))
TAGS = 4
CONFIG = """\
version: 1
site: {{enterprise: acme, site: test, gateway: kill}}
machines:
  press-07:
    path: hall/line/cell
    source: {{modbus: "{plc}", poll_seconds: 0.02}}
    tags:
      oil_1: {{at: 40001}}
      oil_2: {{at: 40002}}
      oil_3: {{at: 40003}}
      oil_4: {{at: 40004}}
watch:
  - limit: {{on: press-07/oil_*, high: 70, high_high: 85, hold: 0s, clear_after: 0s}}
incidents:
  evidence: {{before: 2s, after: 1s, max_kilobytes: 2}}
deliver:
  plant: {{nats: "{nats}", stream: EVENTS, timeout: 2s, batch: 20}}
  crm: {{https: "{https}", ca: "{ca}", mode: batch, timeout: 2s, batch: 10}}
gateway: {{state_dir: "{state}", page: "off"}}
"""
# What is committed, noted by the file itself in the transaction that commits it: also what was delivered and deleted since.
WITNESS = """
CREATE TABLE IF NOT EXISTS witness (id TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS witnessed AFTER INSERT ON event BEGIN INSERT INTO witness VALUES (new.id); END;
"""


class Daemon:
    """`lineside run` in a process of its own, started anew after each kill."""

    def __init__(self, config: Path, log: Path) -> None:
        self._config, self._log = config, log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        command = [sys.executable, "-c", "from gateway.cli import main; main()", "run", str(self._config), "--log", "json"]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)

    async def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        if self._process.returncode is None:
            os.kill(self._process.pid, how)
        return await self._process.wait()

    @property
    def ready_count(self) -> int:
        return self._log.read_text().count('"message":"ready"') if self._log.exists() else 0

    async def ready(self, times: int) -> None:
        async with asyncio.timeout(30):
            while self.ready_count < times:
                assert self._process is not None
                assert self._process.returncode is None, self._log.read_text()[-3000:]
                await asyncio.sleep(0.01)


class Outbox:
    """The daemon's file, looked at from outside."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def install_witness(self) -> None:
        with sqlite3.connect(self._path, timeout=10) as db:
            db.executescript(WITNESS)
        db.close()

    def all(self, statement: str) -> list[tuple[object, ...]]:
        db = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=10)
        try:
            return db.execute(statement).fetchall()
        finally:
            db.close()

    def witnessed(self) -> list[str]:
        return [str(row[0]) for row in self.all("SELECT id FROM witness")]

    def committed(self) -> int:
        """How many events were committed since the beginning."""
        (row,) = self.all("SELECT count(*) FROM witness")
        return int(str(row[0]))

    def waiting(self) -> int:
        (row,) = self.all("SELECT count(*) FROM delivery")
        return int(str(row[0]))

    def tally(self, destination: str) -> dict[str, int]:
        rows = self.all(f"SELECT what, count FROM tally WHERE destination='{destination}' AND count")
        return {str(what): int(str(count)) for what, count in rows}


@pytest.fixture
async def plc() -> AsyncIterator[Plc]:
    async with Plc() as server:
        yield server


@pytest.fixture
async def nats() -> AsyncIterator[NatsServer]:
    async with NatsServer() as server:
        await server.create_stream()
        yield server


@pytest.fixture
async def crm() -> AsyncIterator[Receiver]:
    async with Receiver(tls=True) as server:
        yield server


async def swing(plc: Plc, dice: random.Random) -> None:
    """Alarms that come, rise and go with nearly every poll."""
    while True:
        plc.set("holding", 0, [dice.choice((20, 60, 75, 75, 90)) for _ in range(TAGS)])
        await asyncio.sleep(dice.uniform(0.01, 0.04))


@pytest.mark.timeout(max(180, 15 * KILLS))
async def test_kill_at_random_moments(plc: Plc, nats: NatsServer, crm: Receiver, tmp_path: Path) -> None:
    dice = random.Random(SEED)
    config, state = tmp_path / "lineside.yaml", tmp_path / "state"
    config.write_text(CONFIG.format(plc=plc.url, nats=nats.url, https=crm.url, ca=crm.ca, state=state))
    daemon, outbox = Daemon(config, tmp_path / "log"), Outbox(state / "outbox.db")
    await daemon.start()
    await daemon.ready(1)
    outbox.install_witness()
    swinging = asyncio.create_task(swing(plc, dice))
    for kill in range(KILLS):
        wanted = outbox.committed() + dice.randint(8, 30)
        await until(lambda wanted=wanted: outbox.committed() >= wanted)
        await asyncio.sleep(dice.uniform(0.0, 0.05))
        assert await daemon.end(signal.SIGKILL) == -signal.SIGKILL, "it had ended by itself"
        assert outbox.committed() >= wanted, "what was committed is gone"
        await daemon.start()
        await daemon.ready(kill + 2)
    swinging.cancel()
    plc.set("holding", 0, [20] * TAGS)
    # Every incident is over and delivered.
    await until(lambda: not outbox.waiting() and not outbox.all("SELECT 1 FROM incident WHERE state='open'"))
    assert await daemon.end(signal.SIGTERM) == 0

    received, witnessed = await nats.message_ids(), outbox.witnessed()
    assert len(witnessed) > 5 * KILLS, "too little happened for the test to mean anything"
    assert Counter(received).most_common(1)[0][1] == 1, "the stream holds an id twice"
    assert set(received) == set(witnessed)
    assert len(witnessed) == len(set(witnessed)), "an id that was delivered was made again"
    assert set(crm.order) == set(witnessed)
    for destination in ("plant", "crm"):
        assert outbox.tally(destination) == {"stored": len(witnessed), "delivered": len(witnessed)}
    check_stories(received, outbox)
    check_stories(crm.order, outbox)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def check_stories(received: list[str], outbox: Outbox) -> None:
    """Each incident is told from 1 without a gap, in order, raised once and cleared once; no happening has two ids."""
    stories: dict[str, list[int]] = {}
    for event in received:
        incident, number = event.rsplit("-", 1)
        stories.setdefault(incident, []).append(int(number))
    for incident, numbers in stories.items():
        assert numbers == list(range(1, len(numbers) + 1)), (incident, numbers)
    happenings: Counter[tuple[str, str, int]] = Counter()
    for identity, body in outbox.all("SELECT id, body FROM incident"):
        told = json.loads(bytes(body))  # type: ignore[call-overload]
        happenings[told["machine"], told["condition"], told["since_ns"]] += 1
        assert told["state"] == "closed"
        assert told["events"] == len(stories[str(identity)])
    assert max(happenings.values()) == 1
    assert len(happenings) == len(stories)
