"""Modbus TCP as fast as it goes, over eight connections and over one; 10,000 tags once a second; decoding alone."""

from __future__ import annotations

import timeit

import numpy as np

from benchmarks.gateway import Gateway
from benchmarks.result import Result, Target
from benchmarks.servers import modbus_servers
from drivers.modbus.config import WORDS, DataType, Order
from drivers.modbus.decode import Decoder
from drivers.modbus.plan import Block, Item

REGISTERS = 1000
VALUES = 1000


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
    """10 servers once a second, every value scored by the anomaly bank. It fits its histories more often for the first 200 readings."""
    async with modbus_servers(10) as ports:
        config = machines(ports, 1) + 'watch:\n  - anomaly: {on: "plc-*/*", warm_up: 10s}\n'
        async with Gateway(config) as gateway:
            learning = await gateway.window(15, 30)
            seen = await gateway.window(170, 30)
            memory = gateway.resident_mb()
    return Result(
        "10,000 tags at 1 Hz through the anomaly bank",
        (
            Target("of one core", seen.cpu / seen.at * 100, "<=", 10, "%"),
            Target("values/s", seen.counters["readings"] / seen.at, ">=", 9_900),
        ),
        {
            "percent_at_first": round(learning.cpu / learning.at * 100, 1),
            "rss_mb": round(memory),
            "findings": seen.counters.get("findings", 0),
            "dropped": seen.counters.get("readings_dropped", 0),
        },
    )


def decoding() -> Result:
    """From the bytes of a round's answers to values with their quality, each type in the slower of the two usual orders."""
    kinds: tuple[tuple[DataType, str], ...] = (("uint16", "u2"), ("int32", "i4"), ("uint32", "u4"), ("float32", "f4"), ("float64", "f8"))
    orders: tuple[Order, ...] = ("ABCD", "CDAB")
    found = {dtype: max(decode_ns(dtype, kind, order, VALUES) for order in orders) for dtype, kind in kinds}
    small = {dtype: max(decode_ns(dtype, kind, order, 8 * (125 // WORDS[dtype])) for order in orders) for dtype, kind in kinds}
    return Result(
        f"Modbus, decoding a round of {VALUES:,} values",
        tuple(Target(f"decode ns per value {dtype}", nanoseconds, "<=", 10, "ns") for dtype, nanoseconds in found.items()),
        {"a round of 8 × 125 registers": {dtype: round(nanoseconds, 1) for dtype, nanoseconds in small.items()}},
    )


def decode_ns(dtype: DataType, kind: str, order: Order, values: int) -> float:
    """Per value, of numbers below 1,000 in blocks of 125 registers at most."""
    words = WORDS[dtype]
    items = [Item(i, "holding", i * words, words, dtype, order) for i in range(values)]
    per_block = 125 // words
    blocks = [
        Block("holding", at * words, len(part) * words, tuple(part))
        for at, part in ((at, items[at : at + per_block]) for at in range(0, values, per_block))
    ]
    numbers = np.random.default_rng(1).uniform(0, 1000, values).astype(f">{kind}")
    sent = numbers.view(">u2").reshape(values, words)
    payload = sent[:, ::-1].tobytes() if order == "CDAB" else sent.tobytes()
    decoder, rounds = Decoder(blocks), 200
    if not np.array_equal(decoder.decode(payload)[0], numbers):
        raise AssertionError(f"{dtype} {order} is decoded wrongly")
    return (
        min(timeit.repeat(lambda: decoder.decode(payload), number=rounds, repeat=100)) / rounds / values * 1e9
    )  # the best of many: others share the core


async def run() -> list[Result]:
    return [await as_fast_as_it_goes(8, 1_000_000), await as_fast_as_it_goes(1, 400_000), await ten_thousand_tags(), decoding()]
