"""Rows that damage the outbox file while nobody has it open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from rig import outbox
from rig.plant import Plant
from rig.run import Run, until
from rig.table import row

BACKLOG, PAGE = 2000, 4096


@row(
    11,
    "a page zeroed, the end cut off, the head overwritten, with a backlog",
    expected="found at the start; what can be read is delivered, the old file is kept, what is gone is told and counted",
    count=3,
    night=30,
    limit=600,
)
async def pages(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        for number in range(run.count):
            await damaged(run, plant, (zeroed, cut_off, overwritten)[number % 3])
        aside = sorted(plant.state.glob("outbox.db.damaged-*[0-9]"))
        told = plant.daemon.lines("outbox damaged, set aside")
        run.note(set_aside=len(aside), told_lost=[line["lost"] for line in told])
        run.check(len(aside) == len(told), f"{len(told)} damages told, {len(aside)} old files kept")
        await plant.settle()


@row(
    12,
    "single bits flipped in rows that wait",
    expected="what does not fit its checksum is set apart and told, never sent as good",
    count=20,
    night=200,
)
async def bits(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        await plant.arrived(10)
        await plant.crm.stop()
        await plant.mes.bulk(BACKLOG)
        await plant.daemon.kill()
        write_back(plant.state / "outbox.db")
        flipped = flip_in_rows(run, plant.state / "outbox.db", run.count)
        run.note(flipped=flipped)
        await plant.crm.start()
        await plant.daemon.start()
        await plant.recovered(30)
        await plant.settle()
        books = run.result.facts["books"]
        away = books["quarantined"] + books["damaged"]
        run.check(away or plant.daemon.lines("outbox damaged, set aside"), "nothing was found")
        run.check(away <= flipped, f"{flipped} rows were damaged, {away} set apart")


@row(
    "12b",
    "single bits flipped in the row of an open incident",
    expected="set aside at the start, told and counted, never continued as good; the condition is raised anew with an id of its own",
    count=5,
    night=50,
    limit=600,
)
async def incidents(run: Run) -> None:
    async with Plant(run, every=200) as plant:
        await plant.start()
        for number in range(run.count):
            await until(lambda: open_incident(plant)[0], 60, "an incident of the press")
            await plant.daemon.kill()
            write_back(plant.state / "outbox.db")
            before = open_incident(plant)
            flip_in_incident(run, plant.state / "outbox.db", *before)
            await plant.daemon.start()
            told = len(plant.daemon.lines("a stored incident is damaged and set aside"))
            run.check(told == number + 1, f"{number + 1} damaged, {told} told")
            await until(lambda was=before[0]: open_incident(plant)[0] not in ("", was), 60, "the incident raised anew")
            await plant.recovered(30)
        kept = outbox.ask(plant.state, "SELECT count(*) FROM incident WHERE state='damaged'")[0][0]
        run.check(kept == run.count, f"{run.count} damaged, {kept} kept for people")
        await plant.settle()


async def damaged(run: Run, plant: Plant, how: object) -> None:
    """A backlog, a damage, a start; the CRM is there again then."""
    assert callable(how)
    await plant.arrived(10)
    await plant.crm.stop()
    await plant.mes.bulk(BACKLOG)
    await plant.daemon.kill()
    file = plant.state / "outbox.db"
    write_back(file)
    how(run, file)
    await plant.crm.start()
    await plant.daemon.start()
    await plant.recovered(30)


def write_back(file: Path) -> None:
    """The WAL, so that the damage is in the file that is read."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def zeroed(run: Run, file: Path) -> None:
    page = run.dice.randrange(1, file.stat().st_size // PAGE)
    with file.open("r+b") as out:
        out.seek(page * PAGE)
        out.write(bytes(PAGE))


def cut_off(run: Run, file: Path) -> None:
    with file.open("r+b") as out:
        out.truncate(run.dice.randrange(file.stat().st_size // PAGE // 2, file.stat().st_size // PAGE) * PAGE)


def overwritten(run: Run, file: Path) -> None:
    with file.open("r+b") as out:
        out.write(run.dice.randbytes(100))


def flip_in_rows(run: Run, file: Path, count: int) -> int:
    """One bit in the content of each of so many events; how many it were."""
    rows = outbox.ask(file.parent, "SELECT data FROM event ORDER BY seq DESC")
    blobs = [bytes(data) for (data,) in run.dice.sample(rows, min(count, len(rows)))]
    content, flipped = bytearray(file.read_bytes()), 0
    for blob in blobs:
        at = content.find(blob)
        if at < 0:
            continue  # it lies on two pages
        at += run.dice.randrange(len(blob))
        content[at] ^= 1 << run.dice.randrange(8)
        flipped += 1
    file.write_bytes(content)
    return flipped


def open_incident(plant: Plant) -> tuple[str, bytes]:
    """Identity as it stands in the row's record, and body; empty: there is none."""
    found = outbox.ask(plant.state, "SELECT id || machine || condition || state, body FROM incident WHERE state='open' AND machine='press'")
    return (str(found[0][0]), bytes(found[0][1])) if found else ("", b"")


def flip_in_incident(run: Run, file: Path, identity: str, body: bytes) -> None:
    """One bit of the texts or of the body; not of the row's time of change, which carries nothing, nor of its length."""
    content = bytearray(file.read_bytes())
    texts = content.index(identity.encode())
    places = [*range(texts, texts + len(identity))] if run.dice.random() < 0.5 else []
    at = run.dice.choice(places or range(begin := content.index(body, texts), begin + len(body)))
    content[at] ^= 1 << run.dice.randrange(8)
    file.write_bytes(content)
