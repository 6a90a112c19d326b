"""Rows about starts that must not succeed, and about files of other versions."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

from gateway.outbox.rows import to_row
from gateway.testkit.rigs import event
from rig import outbox
from rig.daemon import Daemon
from rig.plant import Plant
from rig.run import Run
from rig.table import row

SCHEMA_1 = Path(__file__).parents[2] / "outbox" / "version_1.sql"
NAMES = "seq,id,type,source,subject,time_ns,recorded_ns,severity,partitionkey,dataschema,correlationid,traceparent,data,crc"
WITHOUT_POWERS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
"""Root whom file modes bind as anybody else."""


@row(
    13,
    "state folder of somebody else, not writable, a file; configuration not readable, not there",
    expected="exit code 2 (78 in sysexits.h; the unit does not start it again), one line that says which file, no traceback",
    needs=("root", "setpriv"),
)
async def wrong_owner(run: Run) -> None:
    for number, (name, breaks) in enumerate(TROUBLES.items()):
        folder = run.folder / f"try-{number}"
        folder.mkdir()
        async with Plant(run) as plant:
            daemon = Daemon(folder, plant.config, state=folder / "state", port=0)
            daemon.config["gateway"] = {"state_dir": str(daemon.state), "page": "off"}
            del daemon.config["machines"]["mes"]
            daemon.config["watch"] = daemon.config["watch"][1:]
            daemon.prefix = WITHOUT_POWERS
            began = time.monotonic()
            try:
                await breaks(daemon)
                code = await daemon.ended(30)
            finally:
                await daemon.close()
            said = daemon.tail()
            run.check(code == 2, f"{name}: exit code {code}: {said[-300:]}")
            run.check("Traceback" not in said, f"{name}: a traceback")
            run.check(0 < len(said.strip().splitlines()) <= 5, f"{name}: said {len(said.splitlines())} lines")
            run.check(time.monotonic() - began < 30, f"{name}: took {time.monotonic() - began:.0f} s")


async def foreign(daemon: Daemon) -> None:
    daemon.state.mkdir(mode=0o700)
    os.chown(daemon.state, 65534, 65534)
    await daemon.launch()


async def not_writable(daemon: Daemon) -> None:
    daemon.state.mkdir(mode=0o500)
    await daemon.launch()


async def outbox_not_writable(daemon: Daemon) -> None:
    daemon.state.mkdir()
    (daemon.state / "outbox.db").touch(mode=0o600)
    os.chown(daemon.state / "outbox.db", 65534, 65534)
    await daemon.launch()


async def a_file(daemon: Daemon) -> None:
    daemon.state.write_text("")
    await daemon.launch()


async def unreadable_config(daemon: Daemon) -> None:
    daemon.file.write_text(json.dumps(daemon.config))
    daemon.file.chmod(0o600)
    os.chown(daemon.file, 65534, 65534)
    await daemon.launch(write=False)


async def no_config(daemon: Daemon) -> None:
    daemon.file = daemon.folder / "other" / "lineside.yaml"
    await daemon.launch(write=False)


TROUBLES: dict[str, Callable[[Daemon], Awaitable[None]]] = {
    "state folder of somebody else": foreign,
    "state folder not writable": not_writable,
    "outbox of somebody else": outbox_not_writable,
    "state folder is a file": a_file,
    "configuration not readable": unreadable_config,
    "no configuration": no_config,
}


@row(
    15,
    "outbox of the first release with a backlog, killed while it is brought up to date",
    expected="lost 0: everything that waited is delivered, once",
    count=8,
    night=60,
)
async def upgraded(run: Run) -> None:
    async with Plant(run) as plant:
        plant.state.mkdir()
        events = of_version_1(plant.state / "outbox.db", 6000)
        usual = await migration_seconds(run, plant)
        killed = 0
        for _ in range(run.count):
            await plant.daemon.launch()
            await asyncio.sleep(usual * run.dice.uniform(0.5, 1.1))
            if not plant.daemon.alive:
                run.check(False, f"it ended by itself: {plant.daemon.tail()[-300:]}")
            await plant.daemon.kill()
            killed += 1
        await plant.start()
        await plant.recovered(60)
        await plant.settle()
        there = {each.id for each in plant.crm.log}
        run.note(killed=killed, waited=events)
        missing = {f"ev-{n:08d}" for n in range(100, 100 + events)} - there
        run.check(not missing, f"{len(missing)} of {events} events of the first release are not at the CRM")


async def migration_seconds(run: Run, plant: Plant) -> float:
    """From the start to READY, with a copy."""
    folder = run.folder / "dry"
    shutil.copytree(plant.state, folder / "state")
    shutil.copytree(run.folder / "secrets", folder / "secrets")
    dry = Daemon(folder, plant.config | {"deliver": {}}, state=folder / "state", port=plant.daemon.port)
    dry.config["gateway"] = {"state_dir": str(dry.state), "page": {"port": plant.daemon.port}}
    try:
        return await dry.start()
    finally:
        await dry.close()


def of_version_1(file: Path, count: int) -> int:
    """As the first release left it, with so many events that wait instead of its own."""
    with closing(sqlite3.connect(file)) as db:
        db.executescript(SCHEMA_1.read_text(encoding="utf-8"))
        db.executescript("DELETE FROM delivery; DELETE FROM event; UPDATE tally SET count=0;")
        made = [to_row(event(n, data=b'{"y":"' + b"y" * 490 + b'"}'), n, 1)[:14] for n in range(100, 100 + count)]
        db.executemany(f"INSERT INTO event ({NAMES}) VALUES ({','.join('?' * 14)})", made)
        db.executemany("INSERT INTO delivery (seq, destination) VALUES (?, 'crm')", [(each[0],) for each in made])
        db.execute("UPDATE tally SET count=? WHERE what='stored'", (count,))
        db.commit()
    return count


@row(
    "15b",
    "outbox of a newer release",
    expected="refused with exit code 2, the file is not touched; with the right version everything is there",
)
async def downgraded(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        await plant.arrived(10)
        await plant.crm.stop()
        await plant.flow(20)
        await plant.mes.finish()
        await plant.daemon.stop()
        file = plant.state / "outbox.db"
        (version,) = outbox.ask(plant.state, "PRAGMA user_version")[0]
        set_version(file, 99)
        before = file.read_bytes()
        await plant.daemon.launch()
        code = await plant.daemon.ended(30)
        run.check(code == 2, f"exit code {code}: {plant.daemon.tail()[-300:]}")
        run.check(file.read_bytes() == before, "the file was changed")
        set_version(file, version)
        await plant.crm.start()
        await plant.start()
        await plant.recovered(30)
        await plant.settle()


def set_version(file: Path, version: int) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA user_version={version}")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
