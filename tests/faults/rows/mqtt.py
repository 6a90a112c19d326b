"""Rows of MQTT: payloads and packets nobody should send."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

from gateway.testkit.servers.mqtt import Mosquitto, Publisher
from rig.hostile_mqtt import HostileBroker, publish
from rig.plant import Plant
from rig.probe import Probe, high
from rig.run import Run, until
from rig.table import row

MEGABYTE = 1_000_000
PAYLOADS: dict[str, bytes] = {
    "no UTF-8": b"\xff\xfe\xc3\x28",
    "5 MB": b"1" * (5 * MEGABYTE),
    "5 MB of JSON": b'{"v": "' + b"a" * (5 * MEGABYTE) + b'"}',
    "deep JSON": b"[" * 200_000,
    "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"v":' * 100_000,
    "60,000 keys": json.dumps({f"k{n}": n for n in range(60_000)}).encode(),
    "a number of a million digits": b"9" * 900_000,
    "an exponent": b"1e999999999",
    "NUL": b"\x00",
    "nothing": b"",
    "half a zip": b"\x1f\x8b\x08" + b"\x00" * 100,
}


async def machine(plant: Plant, name: str) -> dict[str, Any]:
    """What the page says of it, tags by name."""
    found = next(each for each in await plant.daemon.status("/api/machines") if each["name"] == name)
    return {tag["name"]: tag for tag in found["tags"]}


async def fresh(run: Run, plant: Plant, name: str, tag: str, seconds: float) -> None:
    """Until the tag has a good reading that came after now."""
    began = time.time_ns()
    found: dict[str, Any] = {}
    for _ in range(int(seconds / 0.2)):
        found = (await machine(plant, name))[tag]
        if found["quality"] == "good" and found["t_ns"] > began:
            return
        await asyncio.sleep(0.2)
    run.check(False, f"{seconds:g} s after it was over {name}/{tag} is {found['value']!r}, {found['quality']}")


@row(
    36,
    "MQTT payloads that are no UTF-8, of 5 MB, deep JSON; a flood on 20,000 topics; retained old ones",
    expected="bad or counted, never taken for a value; 120 MB more at most; orders taken meanwhile; good again within 15 s; lost 0",
)
async def payloads(run: Run) -> None:
    async with Mosquitto(extra="message_size_limit 0") as broker, Plant(run) as plant, Publisher(broker.url) as sender:
        await sender.publish("line/old", b'{"v": 7}', 1, retain=True)
        plant.config["machines"]["line"] = {
            "source": {"mqtt": broker.url, "version": "3.1.1", "qos": 1, "lost_after": "1h"},
            "tags": {
                "value": {"topic": "line/value", "value": "$.v"},
                "plain": {"topic": "line/plain"},
                "good": {"topic": "line/good"},
                "old": {"topic": "line/old", "value": "$.v"},
                "flood": {"topic": "flood/#"},
            },
            "records": {"order_step": {"topic": "line/orders"}},
        }
        await plant.start()
        await plant.arrived(10)
        async with Probe(plant) as probe:
            before = plant.daemon.peaks.rss_mb
            for name, payload in PAYLOADS.items():
                for topic in ("line/value", "line/plain", "line/orders"):
                    await sender.publish(topic, payload, 1)
                run.check(plant.daemon.alive, f"it ended at {name}: {plant.daemon.tail()[-300:]}")
            flood = asyncio.create_task(flooded(sender, 20_000))
            times = await probe.times(100)
            await flood
            found = await machine(plant, "line")
            await sender.publish("line/good", b"1", 1)
            good = asyncio.create_task(again(sender))
            await fresh(run, plant, "line", "good", 15)
            good.cancel()
            counted = (await plant.daemon.metrics()).get("readings_dropped{reason=message_too_large,source=line}", 0)
            run.check(counted >= 6, f"{counted:g} of 6 messages that are too large were counted")
            run.check(found["old"]["quality"] == "uncertain", f"what was retained is {found['old']['quality']}")
            run.check(found["value"]["quality"] not in ("good", "uncertain"), f"line/value is {found['value']}")
        run.check(not probe.undone, f"{probe.undone} orders were not answered 202")
        grown = plant.daemon.peaks.rss_mb - before
        run.note(p99_ms=round(1000 * high(times)), grown_mb=round(grown))
        run.check(grown <= 120, f"{grown:.0f} MB more than before")
        await plant.recovered(10)
        await plant.settle()


async def flooded(sender: Publisher, messages: int) -> None:
    for number in range(messages):
        await sender.publish(f"flood/{number}", b"%d" % number)
        if number % 500 == 0:
            await asyncio.sleep(0)


async def again(sender: Publisher) -> None:
    while True:
        await sender.publish("line/good", b"1", 1)
        await asyncio.sleep(0.2)


def hostile(dice: random.Random) -> bytes:
    """One packet, or what pretends to be one."""
    kind = dice.randrange(12)
    if kind == 0:
        return publish(b"line/\xff\xfe\xc3", b"1")
    if kind == 1:
        return publish(b"line/value", b"1", announced=268_435_455)
    if kind == 2:
        return publish(b"line/value", b"1", announced=1)
    if kind == 3:
        return publish(b"", b"1")
    if kind == 4:
        return publish(b"line/value", b"1", command=0x36)
    if kind == 5:
        return b"\x30\xff\xff\xff\xff\x7f"
    if kind == 6:
        return b"\x32\x05\x00\x01a\x00\x00"
    if kind == 7:
        return bytes([dice.choice([0x00, 0x10, 0x82, 0xF0, 0x40, 0x90])]) + b"\x02" + dice.randbytes(2)
    if kind == 8:
        return publish(b"line/value\x00", dice.randbytes(50))
    if kind == 9:
        return publish(b"line/" + b"a" * 65_000, b"1")
    return dice.randbytes(dice.randint(1, 200))


@row(
    "36b",
    "an MQTT broker that sends packets of wrong lengths, topics that are no UTF-8, and garbage",
    expected="lost and tried again, no traceback; memory bounded (100 MB more); good again within 20 s; others go on; lost 0",
)
async def packets(run: Run) -> None:
    async with HostileBroker(run.dice, hostile) as broker, Plant(run) as plant:
        plant.config["machines"]["line"] = {
            "source": {"mqtt": broker.url, "version": "3.1.1", "lost_after": "1h"},
            "tags": {"good": {"topic": "line/good"}, "value": {"topic": "line/value"}},
        }
        await plant.start()
        await plant.arrived(5)
        before = plant.daemon.peaks.rss_mb
        await until(lambda: broker.connections >= 4 and broker.said >= 20, 40, "a few connections to the hostile broker")
        await plant.recovered(10)
        broker.hostile = False
        await fresh(run, plant, "line", "good", 20)
        run.note(connections=broker.connections, said=broker.said)
        run.check("Traceback" not in plant.daemon.log.read_text(errors="replace"), "a traceback in the log")
        run.check(plant.daemon.peaks.rss_mb - before <= 100, f"{plant.daemon.peaks.rss_mb - before:.0f} MB more than before")
        await plant.settle()
