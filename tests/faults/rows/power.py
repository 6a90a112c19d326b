"""Rows that cut the power of the disk under the state folder."""

from __future__ import annotations

import asyncio
import time

from rig.disk import NEEDS, PowerDisk
from rig.plant import Plant
from rig.run import Run
from rig.table import row


@row(
    2,
    "power cut, a disk that honours flush",
    expected="ext4 mounts, the outbox opens, lost 0; delivering again within 20 s",
    count=12,
    night=100,
    limit=240,
    needs=NEEDS,
)
async def power_cut(run: Run) -> None:
    with PowerDisk(run.folder) as disk:
        async with Plant(run, state=disk.mount / "state") as plant:
            await plant.start()
            for _ in range(run.count):
                await plant.flow(run.dice.randint(5, 60))
                await asyncio.sleep(run.dice.uniform(0.0, 0.3))
                began = time.monotonic()
                await asyncio.to_thread(disk.cut, run.dice.randrange(1 << 30), run.dice.choice((0, 0.3, 0.7, 1)))
                await plant.daemon.kill()
                await asyncio.to_thread(disk.power_off)
                await asyncio.to_thread(disk.power_on)
                await plant.daemon.start()
                await plant.recovered(20, since=began)
            await plant.settle()
            run.check(not plant.daemon.lines("outbox damaged, set aside"), "an honest disk, and the outbox was damaged")
