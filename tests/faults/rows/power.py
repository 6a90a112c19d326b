"""Rows that cut the power of the disk under the state folder."""

from __future__ import annotations

import asyncio
import time

from rig.disk import NEEDS, PowerDisk
from rig.ledger import Arrival, balance
from rig.plant import Plant
from rig.run import Run
from rig.table import row


@row(
    2,
    "power cut, a disk that honours flush",
    expected="ext4 mounts, the outbox opens, lost 0; delivering again within 30 s",
    count=12,
    night=100,
    limit=600,
    needs=NEEDS,
)
async def power_cut(run: Run) -> None:
    with PowerDisk(run.folder) as disk:
        async with Plant(run, state=disk.mount / "state") as plant:
            await plant.start()
            for _ in range(run.count):
                plant.maybe_away()
                await plant.flow(run.dice.randint(5, 60))
                await asyncio.sleep(run.dice.uniform(0.0, 0.3))
                began = time.monotonic()
                await asyncio.to_thread(disk.cut, run.dice.randrange(1 << 30), run.dice.choice((0, 0.3, 0.7, 1)))
                await plant.daemon.kill()
                plant.crm.before = None
                await asyncio.to_thread(disk.power_off)
                await asyncio.to_thread(disk.power_on)
                await plant.daemon.start()
                await plant.recovered(30, since=began)
            await plant.settle()
            run.check(not plant.daemon.lines("outbox damaged, set aside"), "an honest disk, and the outbox was damaged")


@row(
    3,
    "power cut, a disk that lies about flush",
    expected="starts again within 30 s each time; what the disk forgot is told (a damaged file is set aside) or seen at the CRM "
    "as sequence numbers that go back",
    kind="N",
    count=5,
    night=40,
    limit=600,
    needs=NEEDS,
)
async def lying(run: Run) -> None:
    with PowerDisk(run.folder, lying=True) as disk:
        async with Plant(run, state=disk.mount / "state") as plant:
            await plant.start()
            unmountable = 0
            for _ in range(run.count):
                plant.maybe_away()
                await plant.flow(run.dice.randint(20, 60))
                await asyncio.to_thread(disk.cut, run.dice.randrange(1 << 30), run.dice.choice((0, 0.5, 0.9, 1)))
                await plant.daemon.kill()
                plant.crm.before = None
                await asyncio.to_thread(disk.power_off)
                unmountable += await asyncio.to_thread(disk.back_somehow)
                began = time.monotonic()
                await plant.daemon.start()
                await plant.recovered(30, since=began)
            await plant.finish()
    told = plant.daemon.lines("outbox damaged, set aside")
    found = balance(plant.mes.taken, plant.crm.log, stored=0)
    result = run.result
    result.taken, result.delivered, result.lost, result.repeats = found.taken, found.delivered, found.lost, found.repeats
    result.read = found.taken + 2 * plant.plc.served
    seen = went_back(plant.crm.log)
    run.note(unmountable=unmountable, set_aside=len(told), went_back=seen, doubled_by_forgetting=found.doubled)
    run.check(not found.lost or told or seen, f"{found.lost} orders lost, and nobody can see it")


def went_back(log: list[Arrival]) -> int:
    """How often a new event had a sequence number that another one had had: the disk forgot, and the CRM can see it."""
    first: dict[tuple[str, int], str] = {}
    return sum(first.setdefault((each.source, each.seq), each.id) != each.id for each in log)
