"""Rows of what the CRM answers."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from aiohttp import web

from rig import answers
from rig.crm import Whim
from rig.plant import Plant
from rig.run import Run, until
from rig.table import row
from rows.uplink import losses, reloaded, why


async def taken_each(_request: web.Request, documents: list[dict[str, Any]]) -> web.StreamResponse:
    """As a CRM answers that speaks of each event."""
    return web.json_response([{"success": True} for _ in documents])


def said(body: bytes, promised: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (promised, body)


def short(results: int) -> Whim:
    """200 for so many events fewer than there were; negative: more."""

    async def answer(_request: web.Request, documents: list[dict[str, Any]]) -> web.StreamResponse:
        return web.json_response([{"success": True}] * max(0, len(documents) - results))

    return answer


LIES: dict[str, Whim] = {
    "cut": answers.cut(said(b'[{"success": true}, {"succ', 1000)),
    "garbage": answers.cut(said(b"\x00\xff<html>\xc3(OK", 14)),
    "a page": answers.cut(said(b"<html>It works</html>", 21)),
    "too few": short(1),
    "none": short(10_000),
    "too many": short(-1),
    "false": answers.cut(said(b'{"success": true}', 17)),
}


@row(20, "200 whose body is cut, garbage, or tells of another number of events", expected="not counted as delivered; lost 0", night=10)
async def lying(run: Run) -> None:
    async with Plant(run) as plant:
        plant.config["deliver"]["crm"]["result"] = {"per_item": {"path": "$", "ok": "success == true"}}
        plant.crm.after = taken_each
        await plant.start()
        for _ in range(run.count):
            for name, lie in LIES.items():
                await plant.arrived(5)
                await lied(run, plant, name, lie)
                await plant.recovered(15)
        await plant.settle()


async def lied(run: Run, plant: Plant, name: str, lie: Whim) -> None:
    """Nothing is stored, and the answer sounds well; until it came twice."""
    came = len(plant.crm.requests)
    plant.crm.before = lie
    await until(lambda: len(plant.crm.requests) >= came + 2, 30, f"another try after {name}")
    run.check(await why(plant), f"after {name} the page says that the CRM is well")
    plant.crm.before = None


HALVES: dict[str, bytes] = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 20",
    "no HTTP": b"\x16\x03\x01 garbage \xff\xfe\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
}


@row("20b", "half a head, no HTTP, or nothing for an answer", expected="not counted as delivered; lost 0", night=10)
async def halved(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        for _ in range(run.count):
            for name, half in HALVES.items():
                await plant.arrived(5)
                await lied(run, plant, name, answers.cut(half))
                await plant.recovered(15)
        await plant.settle()


@row("20c", "200 whose body is cut, of a receiver whose status is all that is looked at", expected="not counted as delivered; lost 0")
async def status_only(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        await plant.arrived(5)
        plant.crm.before = answers.cut(said(b'{"stat', 1000))
        came = len(plant.crm.requests)
        await until(lambda: len(plant.crm.requests) >= came + 2, 30, "another try")
        plant.crm.before = None
        await plant.recovered(15)
        await plant.settle()


@row(
    21,
    "401 and 403",
    expected="nothing is given up; the page says why; nothing is asked within the minute; mended by a reload; lost 0",
    count=1,
)
async def refused_login(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        for code in (401, 403):
            await plant.arrived(5)
            await held(run, plant, code)
            plant.crm.before = None
            await reloaded(plant, longest_hold="1s")  # the operator mends it, and does not want to wait the minute
            await plant.recovered(15)
            await reloaded(plant, longest_hold="6h")
        await plant.settle()


async def held(run: Run, plant: Plant, code: int) -> None:
    known = len(losses(plant))
    plant.crm.before = answers.status(code)
    await until(lambda: len(losses(plant)) > known, 30, f"the refusal {code} in the log")
    came = len(plant.crm.requests)
    await asyncio.sleep(4)
    run.check(len(plant.crm.requests) == came, f"{len(plant.crm.requests) - came} requests in 4 s after {code}")
    retry = float(losses(plant)[-1]["retry_seconds"])
    run.check(55 <= retry <= 65, f"tries again {retry:g} s after {code} (must: a minute)")
    run.check(str(code) in await why(plant), f"the page does not name {code}: {await why(plant)!r}")


@row(
    "21b",
    "401 and 403 for minutes",
    expected="at most one request a minute; delivering within 65 s after it is mended; lost 0",
    kind="N",
    limit=600,
)
async def refused_login_for_long(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        for code in (401, 403):
            await plant.arrived(5)
            plant.crm.before = answers.status(code)
            came = len(plant.crm.requests)
            await asyncio.sleep(130)
            run.check(len(plant.crm.requests) - came <= 4, f"{len(plant.crm.requests) - came} requests in 130 s after {code}")
            plant.crm.before = None
            await plant.recovered(65)
        await plant.settle()


@row(22, "413, and a record the CRM refuses", expected="batch halved; the poison parked alone, counted; the rest flows within 15 s; lost 0")
async def poison(run: Run) -> None:
    bad = [f"A{number}" for number in run.dice.sample(range(40, 120), 3)]
    async with Plant(run) as plant:
        await plant.start()
        await plant.arrived(10)
        plant.crm.before = answers.refuse_larger(7)
        await plant.flow(15)
        await plant.recovered(15)
        plant.crm.before = answers.refuse_key(*bad)
        await until(lambda: set(bad) <= set(plant.mes.taken), 30, "the poison taken")
        await plant.recovered(15)
        await plant.settle()
        run.note(poison=bad, arrived_all_the_same=sorted(plant.crm.keys & set(bad)))
    run.check(run.result.facts["books"].get("parked") == len(bad), f"{run.result.facts['books'].get('parked')} parked (must: {len(bad)})")
    missing = run.result.stored - run.result.delivered
    run.check(missing == len(bad), f"{missing} of the stored did not arrive")


@row(
    23,
    "429 with Retry-After, 500, 502, 503, and 30 s slow",
    expected="Retry-After is kept; waits grow; one request at a time; delivering within 15 s after it ends; lost 0",
)
async def busy(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        await asked_later(run, plant)
        for code in run.dice.sample([500, 502, 503, 504], 2):
            await failing(run, plant, code)
        await dawdling(run, plant)
        await plant.settle()


async def asked_later(run: Run, plant: Plant) -> None:
    await plant.arrived(10)
    plant.crm.before = answers.status(429, retry_after="2")
    answered = plant.crm.answers[429]
    await until(lambda: plant.crm.answers[429] >= answered + 3, 30, "three answers of 429")
    plant.crm.before = None
    gaps = [later - earlier for earlier, later in itertools.pairwise(plant.crm.requests[-3:])]
    run.check(min(gaps) >= 1.95, f"asked again after {min(gaps):.2f} s (Retry-After: 2)")
    await plant.recovered(15)


async def failing(run: Run, plant: Plant, code: int) -> None:
    await plant.arrived(10)
    plant.crm.before = answers.status(code)
    came = len(plant.crm.requests)
    await asyncio.sleep(3)
    asked = len(plant.crm.requests) - came
    run.check(2 <= asked <= 15, f"{asked} requests in 3 s of {code} (must: 2 to 15)")
    run.check(str(code) in await why(plant), f"the page does not name {code}: {await why(plant)!r}")
    plant.crm.before = None
    await plant.recovered(15)


async def dawdling(run: Run, plant: Plant) -> None:
    """The deadline of the plant's configuration is 2 s: it does not wait the thirty, and does not pile requests up."""
    await plant.arrived(10)
    plant.crm.before = answers.slow(30)
    came = len(plant.crm.requests)
    await asyncio.sleep(6)
    asked = len(plant.crm.requests) - came
    run.check(1 <= asked <= 4, f"{asked} requests to a CRM that takes 30 s, in 6 s (must: 1 to 4)")
    run.check("2 s" in await why(plant), f"the page does not name the deadline: {await why(plant)!r}")
    plant.crm.before = None
    await plant.recovered(15)
