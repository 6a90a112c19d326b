"""Rows that give detectors what they cannot learn from, and damage what they have learnt."""

from __future__ import annotations

import asyncio
import json
import math
import struct
import time

from gateway.testkit.servers.modbus import Plc
from rig.plant import Plant
from rig.run import Run, until
from rig.table import row

DAMAGED = "detector state damaged, starting fresh"
COURSES = ("constant", "stuck", "drifting", "nan", "missing", "huge", "noise")
QUICK = {"warm_up": "5s", "warm_up_readings": 100}


@row(
    48,
    "models on a tag that is constant, stuck, drifting, NaN, refused, huge; their state damaged between two runs",
    expected="every number in events and on the page is finite; a damaged state is told, its watch starts fresh; orders pass within 5 s",
    night=5,
)
async def models(run: Run) -> None:
    async with Plc() as odd, Plant(run) as plant:
        odd.refuse = {("holding", 2 * COURSES.index("missing") + n) for n in (0, 1)}
        plant.config["machines"]["odd"] = {
            "source": {"modbus": odd.url, "poll_seconds": 0.05},
            "tags": {name: {"at": 40001 + 2 * n, "as": "float32"} for n, name in enumerate(COURSES)},
        }
        tags = [f"odd/{name}" for name in COURSES]
        plant.config["watch"] += [
            {"anomaly": {"name": "bank", "on": tags, **QUICK}},
            {"machine": {"name": "together", "on": tags, "every": "100ms", "warm_up": "5s", "warm_up_rows": 50}},
            {"river": {"name": "trees", "on": tags, "every": "100ms", "model": "anomaly.HalfSpaceTrees", "warm_up_rows": 100}},
            {"sensor": {"name": "sensors", "on": "odd", **QUICK}},
        ]
        moving = asyncio.create_task(move(odd, run))
        try:
            await plant.start()
            for number in range(run.count):
                await asyncio.sleep(12)
                await finite(run, plant)
                code, _ = await plant.daemon.stop()
                run.check(code == 0, f"stopped with exit code {code}")
                states = sorted((plant.state / "detectors").glob("*.state"))
                run.check(len(states) >= 4, f"{len(states)} states saved")
                for n, state in enumerate(states):
                    content = bytearray(state.read_bytes())
                    content[run.dice.randrange(len(content))] ^= 0x10
                    state.write_bytes(content if n % 2 else content[: len(content) // 2])
                began = time.monotonic()
                await plant.daemon.start()
                await plant.recovered(30, since=began)
                wanted = len(states) * (number + 1)  # slow ones are loaded after READY
                await until(lambda wanted=wanted: len(plant.daemon.lines(DAMAGED)) >= wanted, 20, f"{wanted} damaged states told")
            await plant.recovered(5)
            await finite(run, plant)
        finally:
            moving.cancel()
        await plant.settle()


async def move(odd: Plc, run: Run) -> None:
    began = time.monotonic()
    while True:
        past = time.monotonic() - began
        values = {
            "constant": 20.0,
            "stuck": 20.0 + (run.dice.gauss(0, 1) if past < 8 else 0),
            "drifting": 20.0 + past**2 + run.dice.gauss(0, 1),
            "nan": math.nan,
            "huge": 3e38 * run.dice.choice((-1, 1)),
            "noise": run.dice.gauss(20, 1),
        }
        for name, value in values.items():
            odd.set("holding", 2 * COURSES.index(name), list(struct.unpack(">HH", struct.pack(">f", value))))
        await asyncio.sleep(0.05)


async def finite(run: Run, plant: Plant) -> None:
    """What is not finite is no JSON, and json.loads would take it."""

    def refuse(word: str) -> float:
        run.check(False, f"{word} in what the gateway says")
        return 0.0

    await until(lambda: plant.daemon.alive, 1, "the gateway running")
    for document in plant.crm.documents.values():
        json.loads(json.dumps(document), parse_constant=refuse)
    for path in ("/api/status", "/api/machines", "/api/incidents"):
        json.loads(json.dumps(await plant.daemon.status(path)), parse_constant=refuse)
