"""Ten days without the CRM."""

from __future__ import annotations

import asyncio
import time

from rig import outbox
from rig.plant import Plant
from rig.preload import Skew
from rig.resources import resident_mb
from rig.run import Run, until
from rig.table import row

DAYS = 10


@row(
    16,
    "ten days without the CRM, then the backlog (times: events; at night one a second)",
    expected="lost 0; what is new is at the CRM within 60 s of its return; rate and memory are told",
    kind="N",
    count=20_000,
    night=864_000,
    limit=600,
    needs=("cc",),
)
async def ten_days(run: Run) -> None:
    async with Plant(run) as plant:
        skew = Skew(run.folder)
        plant.daemon.env |= skew.env
        plant.config["deliver"]["crm"] |= {"backlog_per_second": 5000, "batch": 500}
        plant.config["deliver"]["buffer"] = {"max_megabytes": 4096, "min_free_megabytes": 0, "keep_events_days": 30}
        await plant.start()
        await plant.arrived(10)
        await plant.crm.stop()
        plant.plc.every = 0
        steps = 40
        for step in range(steps):
            skew.set((step + 1) * DAYS * 86_400 / steps)
            await plant.mes.bulk(run.count // steps, per_post=1000)
        waiting, before = outbox.waiting(plant.state), resident_mb(plant.daemon.pid)
        run.check(waiting >= run.count, f"{waiting} wait after ten days")
        await plant.crm.start()
        began = time.monotonic()
        await plant.recovered(60)
        plant.mes.stop()
        await until(lambda: not outbox.waiting(plant.state), 120 + run.count / 500, "the backlog delivered")
        took = time.monotonic() - began
        await asyncio.sleep(0)
        run.note(
            waiting=waiting,
            drained_per_second=round(waiting / took),
            rss_with_backlog_mb=round(before, 1),
            rss_after_mb=round(resident_mb(plant.daemon.pid), 1),
        )
        await plant.settle(120, ordered=False)
