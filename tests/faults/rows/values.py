"""Rows of what a source may say: times, numbers and texts at the edge of their types."""

from __future__ import annotations

import asyncio
import json
import math
import struct
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from aiohttp import web

from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.mqtt import Mosquitto, Publisher
from rig.daemon import command
from rig.mes import TOKEN, step_of
from rig.plant import Plant
from rig.run import Run
from rig.table import row
from rows.mqtt import machine

GOOD: dict[str, tuple[bytes, float]] = {
    "largest": (b"1.7976931348623157e308", 1.7976931348623157e308),
    "e308": (b"1e308", 1e308),
    "least": (b"5e-324", 5e-324),
    "minus_nothing": (b"-0.0", -0.0),
    "two_63": (b"9223372036854775808", 2.0**63),
    "two_64": (b"18446744073709551616", 2.0**64),
    "minus_two_63": (b"-9223372036854775808", -(2.0**63)),
    "two_53_and_one": (b"9007199254740993", 2.0**53),
    "digits": (b"0.1000000000000000055511151231257827", 0.1),
}
BAD: dict[str, bytes] = {
    "nan": b"NaN",
    "infinity": b"Infinity",
    "minus_infinity": b"-inf",
    "too_large": b"1e309",
    "nothing": b"",
    "long": b'"' + b"x" * 1_000_000 + b'"',
    "surrogate": b'"\\ud800"',
    "raw_surrogate": b"\xed\xa0\x80",
    "nul": b"\x00",
    "nul_in_text": b'"a\\u0000b"',
    "null": b"null",
    "list": b"[1]",
}


def strict(text: str) -> Any:
    """JSON and nothing else. Raises ValueError."""
    return json.loads(text, parse_constant=_none_such)


def _none_such(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


class Strict:
    """Reads each request to the CRM once more, as a receiver that takes nothing but JSON does."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    async def __call__(self, request: web.Request, _documents: object) -> None:
        try:
            strict(await request.text())
        except ValueError as exc:
            self.wrong.append(str(exc))


async def pages(run: Run, plant: Plant) -> None:
    """Everything the page says is JSON."""
    async with aiohttp.ClientSession() as http:
        for path in ("/api/status", "/api/machines", "/api/incidents", "/api/history?machine=edges", "/api/spectra"):
            async with http.get(plant.daemon.url + path) as reply:
                text = await reply.text()
                try:
                    strict(text)
                except ValueError as exc:
                    run.check(False, f"{path}: {exc}")


@row(
    32,
    "NaN, infinity, 2^63, 1e308, -0.0, nothing, a text of 1 MB, a lone surrogate, NUL (MQTT, HTTP, Modbus)",
    expected="what is a number comes back equal, all else is bad; nothing that is no JSON leaves the gateway; lost 0",
    night=5,
)
async def edges(run: Run) -> None:
    async with Mosquitto() as broker, Plant(run) as plant, Plc() as plc:
        plant.config["machines"] |= {
            "edges": {"source": {"mqtt": broker.url, "qos": 1}, "tags": {name: {"topic": f"edges/{name}"} for name in [*GOOD, *BAD]}},
            "floats": {
                "source": {"modbus": plc.url, "poll_seconds": 0.1},
                "tags": {name: {"at": 40001 + 2 * n, "as": "float32"} for n, name in enumerate(FLOATS)},
            },
        }
        plant.config["machines"]["mes"]["tags"] = {"posted": {"value": "$.posted"}}
        plant.config["watch"].append({"limit": {"on": "edges/*", "high": 1e300, "hold": "0s", "clear_after": "0s"}})
        for number, value in enumerate(FLOATS.values()):
            plc.set("holding", 2 * number, list(struct.unpack(">HH", struct.pack(">f", value))))
        plant.crm.before = judge = Strict()
        await plant.start()
        await plant.arrived(5)
        async with Publisher(broker.url) as sender:
            for _ in range(run.count):
                await published(run, plant, sender)
        await floats(run, plant)
        await posted(run, plant)
        await pages(run, plant)
        run.check(not judge.wrong, f"{len(judge.wrong)} requests to the CRM that are no JSON: {judge.wrong[:2]}")
        async with Publisher(broker.url) as sender:  # what was above the limit is calm again
            for name in ("largest", "e308"):
                await sender.publish(f"edges/{name}", b"1", 1)
        await plant.flow(120)  # after a hundred records that can be read, the case of those that could not is over
        await plant.recovered(10)
        await plant.settle()


async def published(run: Run, plant: Plant, sender: Publisher) -> None:
    for name, payload in [*((name, given) for name, (given, _) in GOOD.items()), *BAD.items()]:
        await sender.publish(f"edges/{name}", payload, 1)
    await asyncio.sleep(1)
    found = await machine(plant, "edges")
    for name, (_, value) in GOOD.items():
        said = found[name]["value"]
        same = isinstance(said, int | float) and float(said) == value and math.copysign(1, said) == math.copysign(1, value)
        run.check(same and found[name]["quality"] == "good", f"edges/{name}: {said!r}, {found[name]['quality']} (must: {value!r}, good)")
    for name in BAD:
        said = found[name]["value"], found[name]["quality"]
        run.check(said[1] not in ("good", "uncertain"), f"edges/{name}: {str(said)[:80]}")


FLOATS = {
    "nan": math.nan,
    "infinity": math.inf,
    "minus_infinity": -math.inf,
    "minus_nothing": -0.0,
    "largest": 3.4028234663852886e38,
    "least": 1e-45,
}


async def floats(run: Run, plant: Plant) -> None:
    found = await machine(plant, "floats")
    for name, value in FLOATS.items():
        wanted = "good" if math.isfinite(value) else "not_finite"
        run.check(found[name]["quality"] == wanted, f"floats/{name}: {found[name]['quality']} (must: {wanted})")


async def posted(run: Run, plant: Plant) -> None:
    """Bodies with the same inside; none may be answered by a failure of ours, and each that is taken has to arrive."""
    bodies: list[bytes] = [
        b'{"posted": NaN}',
        b'{"posted": 1e999}',
        b'{"posted": "\\ud800"}',
        b'{"order": "\\ud800", "step": "a"}',
        b'{"posted": "\xed\xa0\x80"}',
    ]
    bodies += [
        b'{"order": "a\\u0000b", "step": "a"}',
        b'{"order": "", "step": ""}',
        b'{"order": "%s", "step": "a"}' % (b"x" * 1_000_000),
        b'{"posted": ' + b"9" * 100_000 + b"}",
    ]
    async with aiohttp.ClientSession() as http:
        for body in bodies:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            async with http.post(plant.mes.url, data=body, headers=headers) as reply:
                run.check(reply.status in (202, 400, 413), f"{body[:60]!r} was answered {reply.status}")


@row(
    31,
    "times that repeat and go back",
    expected="every record is kept, in the order it came; a reading that is older does not replace a newer one; lost 0",
    count=200,
    night=5000,
)
async def backward(run: Run) -> None:
    async with Mosquitto() as broker, Plant(run) as plant:
        plant.config["machines"] |= {
            "erp": {"source": {"http": "ingest", "token": {"secret": "mes_token"}, "time": "$.at"}, "records": {"order_step": {}}},
            "line": {"source": {"mqtt": broker.url, "qos": 1}, "tags": {"value": {"topic": "line/value", "value": "$.v", "time": "$.t"}}},
        }
        plant.config["watch"].append({"order": {"on": "erp/order_step"}})
        await plant.start()
        await plant.arrived(5)
        now = datetime.now(UTC)
        url = plant.mes.url.replace("/mes", "/erp")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession() as http:
            for number in range(run.count):
                at = now - timedelta(seconds=run.dice.choice([0, 0, 0, 1, 60, 3600, 86400]))
                order = f"E{number}"
                async with http.post(url, json={"order": order, "step": step_of(order), "at": at.isoformat()}, headers=headers) as reply:
                    if run.check(reply.status == 202, f"a record of {at} was answered {reply.status}"):
                        plant.mes.taken[order] = time.monotonic()
        async with Publisher(broker.url) as sender:
            newest = int(time.time() * 1000)
            for offset, value in [(0, 42.0), (-5000, 1.0), (0, 42.0), (-60_000, 2.0), (-1, 3.0)]:
                await sender.publish("line/value", json.dumps({"v": value, "t": newest + offset}).encode(), 1)
                await asyncio.sleep(0.2)
        found = (await machine(plant, "line"))["value"]
        run.check(found["value"] == 42.0, f"line/value is {found['value']} (must: the newest, 42)")
        await plant.settle()
        came = [each.key for each in plant.crm.log if each.key.startswith("E")]
        in_order = list(dict.fromkeys(came)) == [f"E{number}" for number in range(run.count)]
        run.check(in_order, "records came in another order than they were posted")


@row(
    33,
    "types that change in the stream, names given twice, 10,000 tags",
    expected="bad by its reason and good again; names given twice refused with their line; READY within 15 s; lost 0",
)
async def types(run: Run) -> None:
    async with Mosquitto() as broker, Plant(run) as plant, Plc() as plc:
        plant.config["machines"] |= {
            "line": {"source": {"mqtt": broker.url, "qos": 1}, "tags": {"value": {"topic": "line/value", "value": "$.v"}}},
            "large": {"source": {"modbus": plc.url, "poll_seconds": 2}, "tags": {f"t{n:05}": {"at": 400001 + n} for n in range(10_000)}},
        }
        plc.set("holding", 0, [7] * 10_000)
        await plant.start()
        ready = run.result.facts["ready_seconds"]
        run.check(ready <= 15, f"READY after {ready} s with 10,000 tags (must: 15)")
        await plant.arrived(5)
        async with Publisher(broker.url) as sender:
            for given, wanted in CHANGES:
                await sender.publish("line/value", given, 1)
                await until_quality(run, plant, given, wanted)
        found = await machine(plant, "large")
        well = sum(tag["quality"] == "good" and tag["value"] == 7 for tag in found.values())
        run.check(well == 10_000, f"{well} of 10,000 tags have their value")
        await twice(run, plant)
        await plant.settle()


CHANGES = [
    (b'{"v": 1}', "good"),
    (b'{"v": "text"}', "type"),
    (b'{"v": 2.5}', "good"),
    (b'{"v": {"a": 1}}', "type"),
    (b'{"v": [1, 2]}', "type"),
    (b'{"v": 3}', "good"),
    (b'{"v": null}', ""),
    (b"{}", "format"),
    (b"no json", "format"),
    (b'{"v": 4}', "good"),
]


async def until_quality(run: Run, plant: Plant, given: bytes, wanted: str) -> None:
    """Empty: anything but good."""
    found: dict[str, Any] = {}
    for _ in range(50):
        found = (await machine(plant, "line"))["value"]
        if found["quality"] == wanted or (not wanted and found["quality"] != "good"):
            return
        await asyncio.sleep(0.1)
    run.check(False, f"after {given!r} line/value is {found['value']!r}, {found['quality']} (must: {wanted or 'bad'})")


async def twice(run: Run, plant: Plant) -> None:
    """`lineside check` of a file that names a tag twice, in itself and by a table."""
    file, table = run.folder / "twice.yaml", run.folder / "twice.csv"
    table.write_text("name;at\nlevel;40001\nlevel;40002\n")
    head = "version: 1\nsite: {enterprise: acme, site: test, gateway: faults}\nmachines:\n  press:\n    source: {modbus: 'tcp://127.0.0.1:502'}\n"
    for text in (head + "    tags:\n      level: {at: 40001}\n      level: {at: 40002}\n", head + "    tags_from: twice.csv\n"):
        file.write_text(text)
        code, said = await command("check", str(file))
        named = "level" in said and ("twice.yaml:8" in said or "twice.csv:3" in said)
        run.check(code == 2 and named and "Traceback" not in said, f"exit code {code}: {said[:300]}")
