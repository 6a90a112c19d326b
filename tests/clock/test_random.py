"""Whatever happens to the clock, the gateway, its source and its receiver, in whatever order: each event arrives once, with its time."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest

from gateway.events.build import to_ns

pytestmark = [pytest.mark.timeout(300), pytest.mark.long]  # one of its findings each: tests/app/test_clock.py, tests/engine/test_leap.py
SECOND = 10**9
DAY = 86_400 * SECOND
BASE = 150 * DAY
LEAPS = (3 * SECOND, 90 * SECOND, 3600 * SECOND, DAY, 40 * DAY)
STEPS = 25


class Story:
    """A seed tells it. `offsets` are all the clocks that there were, in nanoseconds ahead of the true one."""

    def __init__(self, gateway: Any, seed: int) -> None:
        self._gateway, self._random = gateway, random.Random(seed)
        self.offsets, self._plc, self._receiver, self._high = [BASE], True, True, 70

    async def tell(self) -> None:
        gateway, kinds = self._gateway, (self._leap, self._source, self._crm, self._reload, self._end)
        gateway.wall(BASE, synchronised=True)
        await gateway.start()
        for _ in range(STEPS):
            gateway.oil(self._random.choice((50.0, 75.0)))
            await asyncio.sleep(self._random.choice((0.05, 0.3, 1.0)))
            (kind,) = self._random.choices(kinds, (6, 4, 4, 2, 2))
            await kind()
        gateway.oil(50.0)
        await self._source(up=True)
        await self._crm(up=True)
        gateway.wall(self.offsets[-1], synchronised=True)

    async def _leap(self) -> None:
        step = self._random.choice((1, -1)) * self._random.choice(LEAPS)
        self.offsets.append(self.offsets[-1] + step if abs(self.offsets[-1] + step - BASE) < 90 * DAY else self.offsets[-1] - step)
        self._gateway.wall(self.offsets[-1], synchronised=self._random.random() < 0.7)

    async def _source(self, *, up: bool | None = None) -> None:
        before, self._plc = self._plc, not self._plc if up is None else up
        if before != self._plc:
            await (self._gateway.plc.start() if self._plc else self._gateway.plc.stop())

    async def _crm(self, *, up: bool | None = None) -> None:
        before, self._receiver = self._receiver, not self._receiver if up is None else up
        if before != self._receiver:
            await (self._gateway.receiver.start() if self._receiver else self._gateway.receiver.stop())

    async def _reload(self) -> None:
        self._high = 141 - self._high
        made = self._gateway.file.with_name("new.yaml")
        made.write_text(self._gateway.file.read_text().replace(f"high: {141 - self._high}", f"high: {self._high}"))
        made.rename(self._gateway.file)
        self._gateway._process.send_signal(signal.SIGHUP)

    async def _end(self) -> None:
        if self._random.random() < 0.5:
            await self._leap()
            await asyncio.sleep(self._random.random() * 1.5)
        await self._gateway.end(self._random.choice((signal.SIGKILL, signal.SIGTERM)))
        self._gateway.log.write_text("")
        await self._gateway.start()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_each_event_arrives_once_with_its_time(plain: Any, seed: int) -> None:
    story, began = Story(plain, seed), time.time_ns()
    plain.configure("3s")
    await story.tell()
    await plain.until_status(lambda found: found["clock"]["trusted"] and abs(found["clock"]["behind_system_seconds"]) < 1.5, 30)
    async with asyncio.timeout(30):
        while any(incident["state"] != "closed" for incident in await plain.get("incidents?limit=200")):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await plain.until_status(lambda found: found["outbox"]["events"] == 0, 30)
    await plain.end()
    ended = time.time_ns()

    with closing(sqlite3.connect(plain.state / "outbox.db")) as db:
        tally = dict(db.execute("SELECT what, count FROM tally WHERE count > 0").fetchall())
        ledger = db.execute("SELECT to_ns - from_ns, what, reason FROM ledger").fetchall()
    assert tally == {"stored": len(plain.arrived), "delivered": len(plain.arrived)}
    assert [int(event["sequence"]) for event in plain.arrived] == list(range(1, len(plain.arrived) + 1))
    told = [(event["data"]["incident"], event["data"]["state"]) for event in plain.of("raised", "cleared")]
    assert len(told) == len(set(told)) == 2 * len({incident for incident, _ in told}), "each is opened and closed once"
    for event in plain.arrived:
        own = to_ns(event["recordedtime"])
        assert any(began - 2 * SECOND < own - offset < ended + 2 * SECOND for offset in story.offsets), event
    longest = ended - began + 300 * SECOND  # when it was last seen running, it knows to five minutes
    assert [line for line in ledger if not 0 <= line[0] <= longest] == [], "no leap is an absence"
