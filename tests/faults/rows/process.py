"""Rows that end, freeze or crowd the process."""

from __future__ import annotations

import asyncio
import signal
import time

from gateway.testkit.servers.ports import free_port
from rig import outbox
from rig.daemon import Daemon
from rig.plant import Plant
from rig.run import Run
from rig.table import row


@row(
    1,
    "kill -9 at random moments",
    expected="lost 0; repeats at most one batch per kill; delivering again within 30 s",
    count=20,
    night=200,
    limit=600,
)
async def killed(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        for _ in range(run.count):
            plant.maybe_away()
            await plant.flow(run.dice.randint(5, 60))
            await asyncio.sleep(run.dice.uniform(0.005, 0.2))
            began = time.monotonic()
            await plant.daemon.kill()
            plant.crm.before = None
            await plant.daemon.start()
            await plant.recovered(30, since=began)
        await plant.settle()
    most = run.count * 50
    run.check(run.result.repeats <= most, f"{run.result.repeats} repeats, more than a batch per kill ({most})")


@row(
    4,
    "SIGTERM with so many events waiting, the CRM hanging",
    expected="ended within 10 s with exit code 0, everything acknowledged is stored, the WAL is written back",
    count=20_000,
    night=100_000,
    limit=600,
)
async def terminated(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        await plant.arrived(10)
        plant.crm.before = hang
        await plant.mes.bulk(run.count, per_post=1000)
        plant.mes.stop()
        waiting = outbox.waiting(plant.state)
        run.check(waiting >= run.count * 0.9, f"only {waiting} wait")
        code, took = await plant.daemon.stop(60)
        run.note(waiting=waiting, stopped_seconds=round(took, 2))
        run.check(code == 0, f"exit code {code}")
        run.check(took <= 10, f"took {took:.1f} s to stop (must: 10)")
        wal = plant.state / "outbox.db-wal"
        run.check(not wal.exists() or not wal.stat().st_size, "the WAL was left behind")
        await plant.mes.close()
        await plant.weigh(drained=False)


async def hang(_request: object, _documents: object) -> None:
    await asyncio.sleep(3600)


@row(
    5,
    "hung: SIGSTOP under a watchdog of 3 s, the rig in systemd's place (the real one: make lab)",
    expected="ended by the watchdog, delivering again within 30 s, lost 0",
    count=2,
    night=20,
)
async def hung(run: Run) -> None:
    async with Plant(run) as plant:
        plant.daemon.watchdog = 3.0
        await plant.start()
        for _ in range(run.count):
            await plant.arrived(20)
            began = time.monotonic()
            plant.daemon.freeze()
            code = await plant.daemon.ended(20)
            run.check(code in (-signal.SIGABRT, -signal.SIGKILL), f"ended with {code}")
            await plant.daemon.start()
            await plant.recovered(30, since=began)
        run.check(plant.daemon.hung == run.count, f"the watchdog bit {plant.daemon.hung} times")
        await plant.settle()


@row(
    14,
    "a second gateway on the same state folder",
    expected="the second one is refused with exit code 2 within 30 s and says why; the first one goes on",
    count=2,
    night=10,
)
async def two_instances(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        for number in range(run.count):
            await plant.arrived(10)
            folder = run.folder / f"second-{number}"
            (folder / "secrets").mkdir(parents=True)
            (folder / "secrets" / "mes_token").write_text("another")
            (folder / "secrets" / "mes_token").chmod(0o600)
            second = Daemon(
                folder,
                plant.config | {"gateway": {"state_dir": str(plant.state), "page": {"port": free_port()}}},
                state=plant.state,
                port=0,
            )
            began = time.monotonic()
            try:
                await second.launch()
                code = await second.ended(60)
            finally:
                await second.close()
            took = time.monotonic() - began
            run.check(code == 2, f"the second one ended with exit code {code}")
            run.check(took <= 30, f"the second one took {took:.1f} s")
            run.check("Traceback" not in second.tail(), f"the second one said: {second.tail()[-300:]}")
            await plant.recovered(5)
        await plant.settle()
