"""The MQTT driver alone: as many messages as come, records acknowledged after their commit, and a broker that is killed 50 times."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from benchmarks.gateway import Gateway
from benchmarks.machine import pin_gateway, resident_mb
from benchmarks.result import Result, Target
from gateway import registry
from gateway.contract import NotConnected, Source
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.mqtt import Mosquitto
from gateway.testkit.servers.nats import NatsServer

SECONDS = 8.0
FLOOD = 1e6
RECORDS_RATE, RECORDS_SECONDS = 20_000, 10.0
RESTARTS = 50
RETRY_SECONDS = 0.25


async def publish(port: int, rate: float, seconds: float, qos: int) -> dict[str, int]:
    command = (sys.executable, "-m", "benchmarks.loads.mqtt_publisher", str(port), str(rate), str(seconds), str(qos))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    sent: dict[str, int] = json.loads(out)
    return sent


async def flood(kind: str, qos: int) -> dict[str, float]:
    """As much as the broker passes on, for `SECONDS`: messages per second and CPU per 1,000 of the reader."""
    async with Mosquitto(durable=False, extra="max_queued_messages 0\nmax_inflight_messages 0") as broker:
        command = (sys.executable, "-m", "benchmarks.loads.mqtt_reader", kind, broker.url, str(qos))
        reader = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, preexec_fn=pin_gateway)
        assert reader.stdout is not None
        await reader.stdout.readline()
        sent = await publish(broker.port, FLOOD, SECONDS, qos)
        out, _ = await reader.communicate()
    seen = json.loads(out)
    return {
        "per_second": round(seen["messages"] / seen["seconds"]),
        "cpu_ms_per_1000": round(seen["cpu"] / seen["messages"] * 1e6, 2),
        "lost": sent["sent"] - seen["messages"],
    }


def config(broker: str, hub: str) -> str:
    return (
        f'machines:\n  mes:\n    source: {{mqtt: "{broker}"}}\n    records: {{step: {{topic: "bench/+", time: "$.ts"}}}}\n'
        'watch:\n  - order: {on: mes/step, order: "$.v", step: "$.q", late_after: 2h, final: ["99"]}\n'
        f'deliver:\n  hub: {{nats: "{hub}", stream: EVENTS, create_stream: true}}\n'
    )


async def records() -> dict[str, float]:
    """Through the gateway: a message counts when the next `read` has acknowledged it, so after the commit of what it caused."""
    broker, hub = Mosquitto(durable=False, extra="max_queued_messages 0"), NatsServer()
    await broker.start()
    await hub.start()
    try:
        async with Gateway(config(broker.url, hub.url)) as gateway:
            await asyncio.sleep(2)
            before = await gateway.sample()
            sent = await publish(broker.port, RECORDS_RATE, RECORDS_SECONDS, 1)
            while (taken := await gateway.sample() - before).counters.get("records", 0) < sent["sent"] and taken.at < 120:
                await asyncio.sleep(0.1)
    finally:
        await hub.stop()
        await broker.stop()
    count = taken.counters.get("records", 0)
    return {
        "per_second": round(count / taken.at),
        "cpu_ms_per_1000": round(taken.cpu / max(count, 1) * 1e6, 1),
        "lost": sent["sent"] - count,
    }


async def value(source: Source) -> None:
    """Until a reading comes; a lost broker is connected to again after `RETRY_SECONDS`."""
    while True:
        try:
            await source.read()
            return
        except NotConnected:
            await source.close()
            await asyncio.sleep(RETRY_SECONDS)
            try:
                await source.connect()
            except NotConnected:
                continue


async def restarts() -> dict[str, float]:
    """From the moment the broker listens until a value that was published since has come, and what the process grew by meanwhile."""
    plugin, took = registry.source("mqtt"), []
    broker = Mosquitto(durable=False, extra="persistence false")
    await broker.start()
    source = plugin.build(
        plugin.options.model_validate({"mqtt": broker.url}), source_context(plugin, {"t": {"topic": "bench/00", "value": "$.v"}})
    )
    await source.connect()
    resident = 0.0
    for number in range(RESTARTS):
        await broker.kill()
        waiting = asyncio.create_task(value(source))
        await asyncio.sleep(0.3)
        await broker.start()
        up = time.perf_counter()
        while not waiting.done():
            await publish(broker.port, 200, 0.2, 0)
        took.append(time.perf_counter() - up)
        if number == RESTARTS // 5:
            resident = resident_mb(os.getpid())
    await source.close()
    await broker.kill()
    return {"worst_seconds": round(max(took), 2), "grew_mb": round(resident_mb(os.getpid()) - resident, 2), "times": len(took)}


async def run() -> list[Result]:
    found = {f"{kind} QoS {qos}": await flood(kind, qos) for kind in ("driver", "paho") for qos in (0, 1)}
    found["records"], found["restarts"] = await records(), await restarts()
    first, once = found["driver QoS 0"], found["driver QoS 1"]
    return [
        Result(
            "MQTT driver: 64-byte JSON decoded, records after their commit, a broker killed 50 times",
            (
                Target("QoS 0", first["per_second"], ">=", 60_000, "msg/s"),
                Target("QoS 1", once["per_second"], ">=", 30_000, "msg/s"),
                Target("records acknowledged after commit", found["records"]["per_second"], ">=", 5_000, "/s"),
                Target(
                    "lost",
                    sum(part["lost"] for name, part in found.items() if name in ("driver QoS 0", "driver QoS 1", "records")),
                    "<=",
                    0,
                ),
                Target("reconnected after", found["restarts"]["worst_seconds"], "<=", 5, "s"),
                Target("memory grown over 40 restarts", found["restarts"]["grew_mb"], "<=", 1, "MB"),
            ),
            dict(found),
            "paho-mqtt's client with the same decoding: see the figures of the run",
        )
    ]
