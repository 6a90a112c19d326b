"""Rows that end, freeze or crowd the process."""

from __future__ import annotations

import asyncio
import time

from rig.plant import Plant
from rig.run import Run
from rig.table import row


@row(
    1,
    "kill -9 at random moments",
    expected="lost 0; repeats at most one batch per kill; READY and delivering again within 15 s",
    count=20,
    night=200,
    limit=240,
)
async def killed(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        for _ in range(run.count):
            await plant.flow(run.dice.randint(5, 60))
            await asyncio.sleep(run.dice.uniform(0.005, 0.2))
            began = time.monotonic()
            await plant.daemon.kill()
            await plant.daemon.start()
            await plant.recovered(15, since=began)
        await plant.settle()
    most = run.count * 50
    run.check(run.result.repeats <= most, f"{run.result.repeats} repeats, more than a batch per kill ({most})")
