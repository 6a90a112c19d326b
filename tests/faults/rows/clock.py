"""Rows of the wall clock of the gateway; everybody else's stays true."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

from rig import answers
from rig.plant import Plant
from rig.preload import Skew
from rig.run import Run, until
from rig.table import row
from rows.uplink import why

DAY = 86_400.0
JUMPS = {"-3 d": -3 * DAY, "+30 d": 30 * DAY, "a leap second": -1.0, "+400 d": 400 * DAY}


@row(
    30,
    "clock jumps by -3 d, +30 d, a leap second, +400 d, with events waiting",
    expected="no timer moves: delivering within 15 s; nothing expires; order by sequence; times of no jump in events; lost 0",
    count=1,
    night=10,
)
async def jumps(run: Run) -> None:
    async with Plant(run) as plant:
        skew = Skew(run.folder)
        plant.daemon.env |= skew.env
        plant.config["deliver"]["crm"]["max_age"] = "7d"
        plant.config["deliver"]["buffer"]["keep_events_days"] = 30
        await plant.start()
        for _ in range(run.count):
            for name, seconds in JUMPS.items():
                await jumped(run, plant, skew, name, seconds)
        skew.set(0)
        await plant.settle()
        dated(run, plant)
    books = run.result.facts["books"]
    given_up = {key: books[key] for key in ("expired", "aged", "evicted") if books.get(key)}
    run.check(not given_up, f"given up: {given_up}")


async def jumped(run: Run, plant: Plant, skew: Skew, name: str, seconds: float) -> None:
    """While the CRM is busy, so that events wait over the jump there and the one back."""
    await plant.arrived(10)
    plant.crm.before = answers.status(503)
    await plant.flow(20)
    skew.set(seconds)
    await plant.flow(20)
    await asyncio.sleep(1.5)  # the daemon looks at its clock once a second
    plant.crm.before = None
    await plant.recovered(15)
    run.check(plant.daemon.alive, f"it ended after {name}: {plant.daemon.tail()[-300:]}")
    skew.set(0)
    await asyncio.sleep(1.5)


def dated(run: Run, plant: Plant) -> None:
    """No event tells a time that is an hour from ours, unless it says that its time is not confirmed."""
    now = time.time()
    wrong = []
    for document in plant.crm.documents.values():
        off = abs(datetime.fromisoformat(document["time"]).timestamp() - now)
        if off > 3600 and not document.get("timequality"):
            wrong.append((document["time"], document["type"]))
    run.check(not wrong, f"{len(wrong)} of {len(plant.crm.documents)} events have a time that is wrong and is not said to be: {wrong[:3]}")


@row(
    "30b",
    "boot in 1970, set right while it runs",
    expected="orders are taken; the page says that the clock is not trusted yet, not that the certificate is bad; times put right; lost 0",
)
async def epoch(run: Run) -> None:
    async with Plant(run) as plant:
        skew = Skew(run.folder)
        plant.daemon.env |= skew.env
        skew.set(60 - time.time())
        await plant.start()
        await plant.flow(30)
        await until(lambda: plant.daemon.lines("lost", "connected"), 20, "a word of the CRM")
        status = await plant.daemon.status()
        run.note(clock=status.get("clock"), why=await why(plant))
        run.check("clock" in await why(plant), f"the page says of the CRM {await why(plant)!r}, nothing of the clock")
        run.check((status.get("clock") or {}).get("state") not in (None, "trusted"), f"status says of the clock: {status.get('clock')}")
        run.check(not plant.crm.log, f"{len(plant.crm.log)} events went out before the clock could be trusted")
        skew.set(0)
        await plant.recovered(30)
        await plant.settle()
        dated(run, plant)


@row(
    "30c",
    "boots of different years on one state folder",
    expected="sequence numbers go on, order by sequence; nothing expires; lost 0; READY within 10 s",
    count=4,
    night=40,
)
async def boots(run: Run) -> None:
    async with Plant(run) as plant:
        skew = Skew(run.folder)
        plant.daemon.env |= skew.env
        await plant.start()
        for _ in range(run.count):
            await plant.flow(20)
            await plant.daemon.kill()
            skew.set(run.dice.choice([0.0, 60 - time.time(), -3 * DAY, 30 * DAY]))
            took = await plant.daemon.start()
            run.check(took <= 10, f"READY after {took:.1f} s (must: 10)")
        skew.set(0)
        await plant.recovered(30)
        await plant.settle()
    run.check(not run.result.facts["books"].get("expired"), f"{run.result.facts['books'].get('expired')} expired")
    run.check(not run.result.facts["books"].get("aged"), f"{run.result.facts['books'].get('aged')} aged")
