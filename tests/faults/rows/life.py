"""Rows of a device's life: its backup on another one, an update, its unit, an adapter that is plugged in again."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from pathlib import Path

from gateway.testkit.servers.modbus import Plc
from rig import outbox
from rig.daemon import command
from rig.plant import Plant
from rig.run import Run, until
from rig.serial import SerialLine
from rig.table import row

ROOT = Path(__file__).parents[3]
LAB = ("root", "mmdebstrap", "systemd-nspawn")


@row(
    44,
    "USB adapter pulled, and back under another name",
    expected="lost while it is away, read again within 15 s of being back under its name in /dev/edge",
    count=2,
    night=10,
)
async def replugged(run: Run) -> None:
    async with Plc("rtu") as device, Plant(run) as plant:
        device.set("holding", 0, [1])
        name = run.folder / "edge" / "press"
        name.parent.mkdir()
        plant.config["machines"]["saw"] = {
            "source": {"modbus": f"rtu://{name}?baud=115200", "poll_seconds": 0.1},
            "tags": {"x": {"at": 40001}},
        }
        line = SerialLine(device.port)
        name.symlink_to(line.device)
        await line.__aenter__()
        await plant.start()
        for number in range(run.count):
            await read_again(plant, device, 15)
            other = SerialLine(device.port)  # opened before the first one is gone, so it has another name
            name.unlink()
            await line.__aexit__()
            await until(lambda number=number: len(lost(plant)) > number, 20, "the source is lost")
            line = await other.__aenter__()
            name.symlink_to(line.device)
            began = time.monotonic()
            await read_again(plant, device, 15)
            run.result.recovered.append(round(time.monotonic() - began, 2))
        await plant.recovered(10)
        await plant.settle()
        await line.__aexit__()


def lost(plant: Plant) -> list[object]:
    return [each for each in plant.daemon.lines("lost") if each.get("source") == "saw"]


async def read_again(plant: Plant, device: Plc, seconds: float) -> None:
    asked = device.requests
    await until(lambda: device.requests > asked + 3, seconds, "the device asked")


@row(
    45,
    "update in a booted Debian: installed, upgraded, killed half way, downgraded, purged (times: checks)",
    expected="every check of tests/systemd/booted/test_packages.py",
    ci=False,
    limit=1800,
    needs=LAB,
)
async def updated(run: Run) -> None:
    await in_the_lab(run, "test_packages.py")


@row(
    46,
    "backup of a running gateway, restored on another device after more was delivered",
    expected="no sequence number and no id is given twice, the gap is told; delivering again within 30 s",
    count=2,
    night=10,
)
async def restored(run: Run) -> None:
    code, said = await command("backup", "--help")
    if code:
        run.result.skipped = "there is no `lineside backup`"
        return
    async with Plant(run) as plant:
        await plant.start()
        for number in range(run.count):
            await plant.arrived(20)
            kept = run.folder / f"backup-{number}.lineside"
            code, said = await command("backup", "--config", str(plant.daemon.file), "--to", str(kept))
            run.check(code == 0, f"backup: exit code {code}: {said[-300:]}")
            await plant.flow(20)
            await plant.mes.finish()
            await until(lambda: not outbox.waiting(plant.state), 30, "everything of the old device delivered")
            began = time.monotonic()
            await plant.daemon.kill()
            shutil.rmtree(plant.state)
            plant.state = plant.daemon.state = run.folder / f"device-{number}"
            plant.config["gateway"]["state_dir"] = str(plant.state)
            places = ("--state-dir", str(plant.state), "--config-dir", str(run.folder / f"etc-{number}"))
            code, said = await command("restore", str(kept), *places, "--yes")
            run.check(code == 0, f"restore: exit code {code}: {said[-300:]}")
            await plant.daemon.start()
            plant.mes.start()
            await plant.recovered(30, since=began)
        await plant.settle()
        told = run.result.facts["losses_of_unknown_size"]
        run.check(told, "the ledger does not tell of the time between backup and restore")


@row(
    47,
    "the hardened unit in a booted Debian (times: checks)",
    expected="exposure at most 1.5, 1.1 with the site's drop-in; every check of tests/systemd/test_unit.py and booted/test_booted.py",
    ci=False,
    limit=1200,
    needs=LAB,
)
async def unit(run: Run) -> None:
    await in_the_lab(run, "test_booted.py", "../test_unit.py")


async def in_the_lab(run: Run, *names: str) -> None:
    """The checks of `make lab`, in Debian 12."""
    import asyncio

    files = [str(ROOT / "tests" / "systemd" / "booted" / name) for name in names]
    if gone := [name for name, file in zip(names, files, strict=True) if not Path(file).exists()]:
        run.result.skipped = f"there is no {', '.join(gone)}"
        return
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *files]  # -q stands in pyproject.toml
    both = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(
        *words, stdout=both[0], stderr=both[1], cwd=ROOT, env=os.environ | {"LINESIDE_LAB": "bookworm"}
    )
    try:
        said = (await process.communicate())[0].decode(errors="replace")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    (run.folder / "log").write_text(said, encoding="utf-8")
    passed = re.search(r"(\d+) passed", said)
    run.result.count = int(passed[1]) if passed else 0
    failed = re.findall(r"^FAILED \S*?::(\w+)", said, re.MULTILINE)
    run.check(process.returncode == 0, f"failed: {', '.join(failed) or said[-300:]}")
    run.check(run.result.count > 3, f"only {run.result.count} checks ran")
