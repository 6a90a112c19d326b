"""Rows of the way to the CRM."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from rig import answers
from rig.chaos import Chaos, Mode
from rig.plant import Plant
from rig.run import Run, until
from rig.table import row


def through(plant: Plant, wire: Chaos) -> dict[str, Any]:
    """The CRM is behind the wire from now on; its options."""
    options: dict[str, Any] = plant.config["deliver"]["crm"]
    options["https"] = f"https://localhost:{wire.port}/events"
    return options


async def why(plant: Plant) -> str:
    """What the page says is wrong with the CRM; empty while nothing is."""
    return str((await plant.daemon.status())["destinations"][0]["why"])


def losses(plant: Plant) -> list[dict[str, Any]]:
    return [line for line in plant.daemon.lines("lost") if line.get("destination") == "crm"]


async def reloaded(plant: Plant, **retry: str) -> None:
    """With this in `retry`."""
    plant.config["deliver"]["crm"]["retry"] |= retry
    known = len(plant.daemon.lines("reloaded"))
    plant.daemon.reload()
    await until(lambda: len(plant.daemon.lines("reloaded")) > known, 30, "reloaded")


@row(
    17,
    "flapping uplink, 2 s up and 2 s down",
    expected="lost 0; something arrives in each of the times it is up; at most 10 connections in 2 s of being down",
    kind="N",
    count=150,
    limit=900,
)
async def flapping(run: Run) -> None:
    async with Plant(run) as plant, Chaos(("127.0.0.1", plant.crm.port)) as wire:
        through(plant, wire)
        await plant.start()
        await plant.arrived(20)
        idle = await flap(run, plant, wire)
        await plant.recovered(30)
        await plant.settle()
    run.check(idle <= run.count // 10, f"nothing arrived in {idle} of {run.count} times it was up")


@row("17b", "flapping uplink, for a short time", expected="as 17", count=3)
async def flapping_shortly(run: Run) -> None:
    await flapping(run)


DOWN: tuple[Mode, ...] = ("reset", "hold", "refuse")


async def flap(run: Run, plant: Plant, wire: Chaos) -> int:
    """How often it was up and nothing arrived."""
    idle = 0
    for mode in itertools.islice(itertools.cycle(DOWN), run.count):
        await wire.set(mode)
        met = wire.connections
        await asyncio.sleep(2)
        run.check(wire.connections - met <= 10, f"{wire.connections - met} connections in 2 s of a link that was down")
        await wire.set("pass")
        before = len(plant.crm.log)
        await asyncio.sleep(2)
        idle += len(plant.crm.log) == before
    return idle


@row(18, "half-open uplink", expected="noticed within 30 s; orders are taken all the same; lost 0; delivering within 30 s", night=10)
async def half_open(run: Run) -> None:
    async with Plant(run) as plant, Chaos(("127.0.0.1", plant.crm.port)) as wire:
        through(plant, wire)["timeout"] = "6s"
        await plant.start()
        for _ in range(run.count):
            await plant.arrived(20)
            known = len(losses(plant))
            await wire.set("hold")
            took = await until(lambda: len(losses(plant)) > known, 60, "the loss of the CRM in the log")  # noqa: B023
            run.note(noticed_seconds=round(took, 1))
            run.check(took <= 30, f"noticed after {took:.1f} s (must: 30)")
            await plant.flow(30)
            await wire.set("pass")
            await plant.recovered(30)
        await plant.settle()


@row(
    19,
    "acknowledgement lost after the CRM stored",
    expected="sent again with the same ids, so doubled 0; lost 0",
    count=4,
    night=40,
)
async def unacknowledged(run: Run) -> None:
    async with Plant(run) as plant, Chaos(("127.0.0.1", plant.crm.port)) as wire:
        through(plant, wire)["timeout"] = "1s"
        await plant.start()
        for lost in itertools.islice(itertools.cycle(("answers", "connection")), run.count):
            await plant.arrived(20)
            stored, known = len(plant.crm.log), len(losses(plant))  # before: what is lost while the wire is set is told only once
            if lost == "answers":
                await wire.set("lose_answers")
            else:
                plant.crm.after = answers.cut()
            await until(lambda: len(plant.crm.log) > stored and len(losses(plant)) > known, 30, "stored, and not acknowledged")  # noqa: B023
            plant.crm.after = None
            await wire.set("pass")
            await plant.recovered(15)
        await plant.settle()
    run.check(run.result.repeats > 0, "nothing was sent again: the fault did not happen")
