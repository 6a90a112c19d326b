"""Rows that take the room, the health or the honesty of what the state folder lies on."""

from __future__ import annotations

import asyncio
import errno
import time

import aiohttp

from rig.disk import NEEDS, PowerDisk, SmallDisk
from rig.plant import Plant
from rig.preload import WriteFault
from rig.run import Run, until
from rig.table import row


@row(
    7,
    "disk full, a file system in memory of 24 MB",
    expected="nothing is acknowledged, the page answers and says so meanwhile; goes on by itself within 30 s of room",
    count=3,
    night=20,
    needs=("root",),
)
async def disk_full(run: Run) -> None:
    with SmallDisk(run.folder, megabytes=24) as disk:
        async with Plant(run, state=disk.mount / "state") as plant:
            await plant.start()
            for _ in range(run.count):
                await plant.arrived(20)
                await asyncio.to_thread(disk.fill, run.dice.randrange(0, 40_000))
                await refused(plant, disk)
                taken = len(plant.mes.taken)
                run.check(await tells(plant), "neither /api/status nor /healthz says that nothing is stored")
                await asyncio.sleep(2)
                run.check(len(plant.mes.taken) - taken <= 1, f"{len(plant.mes.taken) - taken} orders acknowledged on a full disk")
                began = time.monotonic()
                disk.free()
                await plant.recovered(30, since=began)
            run.note(restarted=await plant.keep_running())
            await plant.settle()


async def refused(plant: Plant, disk: SmallDisk) -> None:
    """A file that is opened anew gives its write-ahead log back: that room is taken, too, until the gateway has found none for 2 s."""

    def told() -> tuple[int, int]:
        return len(plant.daemon.lines("outbox cannot write")), len(plant.daemon.lines("outbox writes again"))

    while True:
        await until(lambda: told()[0] > told()[1], 40, "the disk refuses")
        before = told()
        await asyncio.sleep(2)
        if told() == before and before[0] > before[1]:
            return
        await asyncio.to_thread(disk.fill)


@row(
    "7b",
    "no room at the N-th write, N from 1",
    expected="for every N nothing is acknowledged that is not there; goes on by itself within 20 s",
    count=20,
    night=200,
    limit=600,
    needs=("cc",),
)
async def full_at_each_write(run: Run) -> None:
    await failing_writes(run, errno.ENOSPC)


@row(
    "9",
    "EIO at the N-th write or flush, N from 1",
    expected="a failed commit is unknown: not acknowledged, no id twice; goes on by itself within 20 s",
    count=20,
    night=200,
    limit=600,
    needs=("cc",),
)
async def eio_at_each_write(run: Run) -> None:
    await failing_writes(run, errno.EIO)


async def failing_writes(run: Run, number: int) -> None:
    """With `make faults` some N of 1 to 200, at night each."""
    async with Plant(run) as plant:
        fault = WriteFault(run.folder, plant.state)
        plant.daemon.env |= fault.env
        await plant.start()
        step = max(1, 200 // run.count)
        for n in range(1, 1 + run.count * step, step):
            await plant.flow(3)
            fault.after(n, number)
            await until(lambda: fault.failed, 60, f"write {n}")
            await asyncio.sleep(run.dice.uniform(0.0, 0.4))
            fault.heal()
            began = time.monotonic()
            await plant.keep_running()
            await plant.recovered(20, since=began)
        await plant.settle()


@row(
    "9b",
    "EIO of a real block device: ext4 goes read-only, is examined and mounted anew",
    expected="nothing acknowledged meanwhile, and the page says so; storing again within 30 s of the mount, if need be after a restart",
    count=2,
    night=10,
    needs=NEEDS,
)
async def eio(run: Run) -> None:
    with PowerDisk(run.folder) as disk:
        async with Plant(run, state=disk.mount / "state") as plant:
            await plant.start()
            for _ in range(run.count):
                await plant.arrived(20)
                disk.sick()
                await asyncio.sleep(3)
                taken = len(plant.mes.taken)
                run.check(await tells(plant), "neither /api/status nor /healthz says that nothing is stored")
                await asyncio.sleep(2)
                run.check(len(plant.mes.taken) == taken, f"{len(plant.mes.taken) - taken} orders acknowledged on a sick disk")
                await asyncio.to_thread(disk.heal)
                began = time.monotonic()
                await stored_again(plant, 30)
                await plant.recovered(35, since=began)
            await plant.settle()


async def stored_again(plant: Plant, seconds: float) -> None:
    """As systemd would: what has ended is started again."""
    known = len(plant.mes.taken)
    until_then = time.monotonic() + seconds
    while len(plant.mes.taken) == known:
        assert time.monotonic() < until_then, f"nothing stored within {seconds:g} s"
        await plant.keep_running()
        await asyncio.sleep(0.2)


async def tells(plant: Plant) -> bool:
    """Whether the page says that nothing is stored; a page that does not answer says nothing."""
    try:
        storage = (await plant.daemon.status(seconds=5)).get("storage") or {}
        if storage.get("state", "storing") != "storing":
            return True
        async with aiohttp.ClientSession() as http, http.get(f"{plant.daemon.url}/healthz") as reply:
            return reply.status == 503
    except (aiohttp.ClientError, TimeoutError):
        return False


@row(
    8,
    "quota of the outbox reached (32 MB), the CRM away",
    expected="events are given up by the stated order, and exactly as many as the books say; what is left is delivered",
    count=60_000,
    night=100_000,
)
async def quota(run: Run) -> None:
    async with Plant(run) as plant:
        plant.config["deliver"]["buffer"] = {"max_megabytes": 32, "min_free_megabytes": 0}
        await away(plant, run.count)
        books = run.result.facts["books"]
        run.check(books["evicted"] > 0, "nothing was given up, so nothing was tried")
        run.check(books["delivered"] > 5_000, f"{books['delivered']} delivered: 32 MB are to hold more")
        given_up, stored = books["evicted"], books["stored"]
        run.check(stored == books["delivered"] + given_up, f"{stored} stored, {books['delivered']} delivered, {given_up} given up")
        at_crm = run.result.delivered
        run.check(at_crm == books["delivered"], f"{at_crm} at the CRM, {books['delivered']} by the books: what was on its way was given up")


@row(
    "8b",
    "others leave the disk less than min_free_megabytes, the CRM away",
    expected="nothing is given up while the outbox is small: what is free is there for it; everything is delivered",
    count=6_000,
    needs=("root",),
)
async def short_of_room(run: Run) -> None:
    with SmallDisk(run.folder, megabytes=128) as disk:
        async with Plant(run, state=disk.mount / "state") as plant:
            plant.config["deliver"]["buffer"] = {"min_free_megabytes": 256}
            await away(plant, run.count)
            evicted = run.result.facts["books"]["evicted"]
            run.check(not evicted, f"{evicted} events were given up, and that frees no disk")


async def away(plant: Plant, orders: int) -> None:
    """So many orders come while the CRM is away."""
    await plant.start()
    await plant.arrived(10)
    await plant.crm.stop()
    await plant.mes.bulk(orders)
    await plant.crm.start()
    await plant.recovered(60)
    await plant.settle()


@row(
    10,
    "read-only file system",
    expected="readings go on live, the page says that nothing is stored",
    kind="N",
    needs=NEEDS,
)
async def read_only(run: Run) -> None:
    with PowerDisk(run.folder) as disk:
        async with Plant(run, state=disk.mount / "state") as plant:
            await plant.start()
            await plant.arrived(20)
            disk.sick()
            await until(lambda: plant.daemon.lines("outbox cannot write"), 30, "the disk refuses")
            await asyncio.sleep(5)  # ext4 has given up its journal by then
            before = await plant.daemon.metrics()
            await asyncio.sleep(2)
            after = await plant.daemon.metrics()
            processed = after.get("readings", 0) - before.get("readings", 0)
            run.note(readings_per_second=round(processed / 2, 1))
            run.check(processed >= 40, f"{processed:g} readings processed in 2 s, 80 were to be")
            run.check(await tells(plant), "neither /api/status nor /healthz says that nothing is stored")
            await asyncio.to_thread(disk.heal)
            began = time.monotonic()
            await stored_again(plant, 30)
            await plant.recovered(35, since=began)
            await plant.settle()
