"""Modbus TCP as fast as it goes, over eight connections and over one; 10,000 tags once a second; decoding alone."""

from __future__ import annotations

import timeit

import numpy as np

from benchmarks.gateway import Gateway
from benchmarks.result import Result, Target
from benchmarks.servers import modbus_servers
from drivers.modbus.config import DataType
from drivers.modbus.decode import Decoder
from drivers.modbus.plan import Block, Item

REGISTERS = 1000


def machines(ports: list[int], poll_seconds: float) -> str:
    """One machine a port: 1,000 uint16 holding registers, 125 a request."""
    tags = "".join(f"      r{i:04d}: {{at: {40001 + i}}}\n" for i in range(REGISTERS))
    profile = f"profiles:\n  plc:\n    modbus: {{max_registers: 125}}\n    tags:\n{tags}machines:\n"
    return profile + "".join(
        f'  plc-{i}: {{profile: plc, source: {{modbus: "tcp://127.0.0.1:{port}", poll_seconds: {poll_seconds}}}}}\n'
        for i, port in enumerate(ports)
    )


async def as_fast_as_it_goes(connections: int, values_per_second: float) -> Result:
    """Every value through stages, history and a limit."""
    async with modbus_servers(connections) as ports:
        config = machines(ports, 0) + 'watch:\n  - limit: {on: "plc-*/*", high: 5000}\n'
        async with Gateway(config) as gateway:
            seen = await gateway.window(5, 20)
    values = seen.counters["readings"]
    return Result(
        f"Modbus TCP, {connections} connection{'s' if connections > 1 else ''} × 1,000 registers, as fast as it goes",
        (
            Target("values/s", values / seen.at, ">=", values_per_second),
            Target("CPU per 1,000", seen.cpu / values * 1e6, "<=", 4, "ms"),
            Target("dropped", seen.counters.get("readings_dropped", 0), "<=", 0),
        ),
        {"cpu_percent": round(seen.cpu / seen.at * 100), "bad": seen.counters.get("readings_bad", 0)},
        "ThingsBoard gateway 3.8.5: 3,800 values/s, 130–150 ms, then 0; Node-RED 4.1: 20,000/s, 8.7 ms",
    )


async def ten_thousand_tags() -> Result:
    """10 servers once a second, every value scored by the anomaly bank."""
    async with modbus_servers(10) as ports:
        config = machines(ports, 1) + 'watch:\n  - anomaly: {on: "plc-*/*", warm_up: 10s}\n'
        async with Gateway(config) as gateway:
            seen = await gateway.window(15, 30)
            memory = gateway.resident_mb()
    return Result(
        "10,000 tags at 1 Hz through the anomaly bank",
        (
            Target("of one core", seen.cpu / seen.at * 100, "<=", 10, "%"),
            Target("values/s", seen.counters["readings"] / seen.at, ">=", 9_900),
        ),
        {"rss_mb": round(memory), "findings": seen.counters.get("findings", 0), "dropped": seen.counters.get("readings_dropped", 0)},
    )


def decoding() -> Result:
    """A round of eight blocks of 125 registers, from the bytes of the answers to values with their quality."""
    found = {}
    kinds: tuple[tuple[DataType, int], ...] = (("uint16", 1), ("float32", 2))
    for dtype, words in kinds:
        per_block = 125 // words
        blocks = [
            Block(
                "holding",
                125 * b,
                per_block * words,
                tuple(Item(i, "holding", 125 * b + i * words, words, dtype, "ABCD") for i in range(per_block)),
            )
            for b in range(8)
        ]
        decoder, payload = Decoder(blocks), np.arange(8 * per_block * words, dtype=">u2").tobytes()
        rounds = 5_000
        seconds = min(timeit.repeat(lambda: decoder.decode(payload), number=rounds, repeat=5)) / rounds  # noqa: B023
        found[dtype] = seconds / (8 * per_block) * 1e9
    targets = tuple(Target(f"{dtype}, per value", nanoseconds, "<=", 10, "ns") for dtype, nanoseconds in found.items())
    return Result("Modbus, decoding a round of 8 × 125 registers", targets)


async def run() -> list[Result]:
    return [await as_fast_as_it_goes(8, 1_000_000), await as_fast_as_it_goes(1, 400_000), await ten_thousand_tags(), decoding()]
