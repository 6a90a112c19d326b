"""Rows of names and of the wire, in a network of the daemon's own."""

from __future__ import annotations

import asyncio

from rig.names import Mode, Names
from rig.netns import THERE, Namespace
from rig.plant import Plant
from rig.probe import Probe, high
from rig.run import Run, until
from rig.table import row
from rows.uplink import why

ROOT = ("ip", "nft", "tc", "root")
MODES: tuple[Mode, ...] = ("refuse", "unknown", "wrong", "silent")


@row(
    24,
    "names refused, unknown, of a wrong address, and a name server that is silent",
    expected="orders as fast as ever (p99 at most 4 times that of before, or 0.5 s); sources live; delivering within 30 s; lost 0",
    needs=ROOT,
    night=5,
)
async def names(run: Run) -> None:
    async with Namespace() as net, Names() as server:
        net.names_from(THERE)
        plant = Plant(run, network=net)
        plant.crm.host = "crm.test"
        async with plant:
            plant.config["machines"]["ghost"] = {
                "source": {"modbus": "tcp://ghost.test:502", "lost_after": "1h"},
                "tags": {"level": {"at": 40001}},
            }
            await plant.start()
            await plant.arrived(10)
            async with Probe(plant) as probe:
                usual = high(await probe.times(80))
                for _ in range(run.count):
                    for mode in MODES:
                        await misnamed(run, plant, server, mode, probe, usual)
            run.check(not probe.undone, f"{probe.undone} orders were not answered 202")
            await plant.settle()


async def misnamed(run: Run, plant: Plant, server: Names, mode: Mode, probe: Probe, usual: float) -> None:
    server.mode = mode
    await plant.crm.stop()  # a connection that is open asks for no name
    served, asked = plant.plc.served, server.asked
    await until(lambda: server.asked > asked, 30, f"{mode}: a name is asked for")
    times = await probe.times(80)
    await asyncio.sleep(1)
    run.note(**{f"p99_ms_{mode}": round(1000 * high(times)), "p99_ms_usual": round(1000 * usual)})
    run.check(high(times) <= max(4 * usual, 0.5), f"{mode}: p99 of an order {high(times):.2f} s, usually {usual:.2f} s")
    run.check(plant.plc.served > served, f"{mode}: the PLC was not read any more")
    run.check(await why(plant), f"{mode}: the page says that the CRM is well")
    await plant.crm.start()
    server.mode = "right"
    await plant.recovered(30)


@row(
    27,
    "30 % loss, 64 kbit/s, MTU 576",
    expected="lost 0; what waits becomes less once the wire is well; delivering within 30 s after each",
    kind="N",
    needs=ROOT,
    limit=600,
)
async def poor(run: Run) -> None:
    async with Namespace() as net, Plant(run, network=net, pause=0.1) as plant:
        await plant.start()
        for _ in range(run.count):
            await plant.arrived(20)
            net.filter("numgen random mod 100 < 30 drop")
            await plant.flow(300)
            net.clear()
            await plant.recovered(30)
            net.narrow(64)
            await plant.flow(300)
            net.widen()
            await plant.recovered(30)
            net.inside("ip", "link", "set", net.inner, "mtu", "576")
            await plant.flow(300)
            await plant.recovered(30)
            net.inside("ip", "link", "set", net.inner, "mtu", "1500")
        await plant.settle()


@row(
    "27b",
    "30 % loss, 64 kbit/s and MTU 576 at once, for a short time",
    expected="as 27",
    needs=ROOT,
)
async def poor_shortly(run: Run) -> None:
    async with Namespace() as net, Plant(run, network=net, pause=0.1) as plant:
        await plant.start()
        await plant.arrived(20)
        net.filter("numgen random mod 100 < 30 drop")
        net.narrow(64)
        net.inside("ip", "link", "set", net.inner, "mtu", "576")
        await plant.flow(60)
        net.clear()
        net.widen()
        await plant.recovered(30)
        await plant.settle()
