"""Resident memory of two typical configurations, and the time from start to READY."""

from __future__ import annotations

import asyncio
import shutil

import numpy as np

from benchmarks.gateway import Gateway
from benchmarks.result import Result, Target
from benchmarks.scenarios.modbus import machines
from benchmarks.servers import modbus_servers, scratch
from gateway.testkit.servers.mqtt import Mosquitto, Publisher
from gateway.testkit.servers.nats import NatsServer
from gateway.testkit.servers.opcua import OpcuaServer

SECONDS = 30.0
RATE_HZ = 12_000
STARTS = 5


def small(ports: list[int], broker: str, hub: str) -> str:
    """Modbus, MQTT and limits."""
    return (
        machines(ports, 1)
        + f'  pump-3:\n    source: {{mqtt: "{broker}", version: "3.1.1"}}\n    tags: {{speed: {{topic: pump/speed, unit: rpm}}}}\n'
        + 'watch:\n  - limit: {on: ["plc-*/*", pump-3/speed], high: 5000}\n'
        + f'deliver:\n  hub: {{nats: "{hub}", stream: EVENTS, create_stream: true}}\n'
    )


def everything(ports: list[int], broker: str, hub: str, opcua: str) -> str:
    """All drivers and all detectors."""
    pump = (
        f'  pump-3:\n    source: {{mqtt: "{broker}", version: "3.1.1"}}\n    tags:\n'
        "      speed: {topic: pump/speed, unit: rpm}\n"
        f"      vibration_x: {{topic: pump/vibration, kind: waveform, format: float32le, rate_hz: {RATE_HZ}, unit: g}}\n"
        "    bearing: {designation: SKF 6205, speed: speed}\n"
    )
    node = OpcuaServer.node
    cnc = f'  cnc-02:\n    source: {{opcua: "{opcua}"}}\n    tags: {{load: {{node: "{node("load")}"}}, feed: {{node: "{node("feed")}"}}}}\n'
    watch = (
        "watch:\n"
        '  - limit: {on: ["plc-*/*", pump-3/speed], high: 5000}\n'
        '  - anomaly: {on: "plc-*/*"}\n'
        "  - river: {on: cnc-02/*, model: anomaly.HalfSpaceTrees}\n"
        "  - vibration: {on: pump-3/vibration_x, iso: {group: 2, support: rigid}, bearing: pump-3}\n"
    )
    return machines(ports, 1) + pump + cnc + watch + f'deliver:\n  hub: {{nats: "{hub}", stream: EVENTS, create_stream: true}}\n'


async def feed(url: str, *, blocks: bool) -> None:
    """A pump: speed, and a block of vibration a second."""
    noise = np.random.default_rng(1).normal(0, 0.1, RATE_HZ).astype("<f4").tobytes()
    async with Publisher(url) as publisher:
        while True:
            await publisher.publish("pump/speed", b"1480.5")
            if blocks:
                await publisher.publish("pump/vibration", noise)
            await asyncio.sleep(1)


async def memory() -> Result:
    found = {}
    broker, hub, opcua = Mosquitto(durable=False), NatsServer(), OpcuaServer({"load": 20.0, "feed": 100.0})
    for server in (broker, hub, opcua):
        await server.start()
    try:
        async with modbus_servers(1) as ports:
            for name, config in (("small", small(ports, broker.url, hub.url)), ("all", everything(ports, broker.url, hub.url, opcua.url))):
                pump = asyncio.create_task(feed(broker.url, blocks=name == "all"))
                folder = scratch("bench-memory")
                async with Gateway(config, folder):
                    pass  # the first start makes the outbox and the certificate; every later one is as follows
                async with Gateway(config, folder) as gateway:
                    for second in range(int(SECONDS)):
                        await opcua.set("load", 20.0 + second % 7)
                        await asyncio.sleep(1)
                    found[name] = gateway.resident_mb()
                pump.cancel()
                await asyncio.wait([pump])
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        for server in (opcua, hub, broker):
            await server.stop()
    return Result(
        "resident memory",
        (
            Target("Modbus, MQTT, limits", found["small"], "<=", 80, "MB"),
            Target("everything with OPC UA and river", found["all"], "<=", 180, "MB"),
        ),
        peers="ThingsBoard 63–84 MB; Node-RED 213–407 MB",
    )


async def start() -> Result:
    """Median of five, with a configuration of 1,000 tags."""
    seconds = []
    async with modbus_servers(1) as ports:
        for _ in range(STARTS):
            async with Gateway(machines(ports, 1) + 'watch:\n  - limit: {on: "plc-*/*", high: 5000}\n') as gateway:
                seconds.append(gateway.ready_seconds)
    return Result(
        "`lineside run` to READY",
        (Target("median of 5", sorted(seconds)[STARTS // 2], "<=", 1.5, "s"),),
        {"tags": 1000},
        "ThingsBoard 0.3–1 s; Node-RED 3–5 s",
    )


async def run() -> list[Result]:
    return [await start(), await memory()]
