"""OPC UA: 2,000 items with 20,000 changes a second from two node-opcua processes, and 10,000 items once a second."""

from __future__ import annotations

from benchmarks.gateway import Gateway
from benchmarks.result import Result, Target
from benchmarks.servers import opcua_server

ITEMS, CHANGES = 1000, 10
MANY = 10_000


def machine(name: str, port: int, items: int = ITEMS, source: str = "publishing: 100ms, sampling: 0s, queue: 20") -> str:
    tags = "".join(f'      v{i}: {{node: "ns=1;s=v{i}"}}\n' for i in range(items))
    return f'  {name}:\n    source: {{opcua: "opc.tcp://127.0.0.1:{port}/bench", {source}}}\n    tags:\n{tags}'


async def fast() -> Result:
    async with opcua_server(ITEMS, CHANGES) as first, opcua_server(ITEMS, CHANGES) as second:
        config = "machines:\n" + machine("cnc-1", first) + machine("cnc-2", second) + 'watch:\n  - limit: {on: "cnc-*/*", high: 5000}\n'
        async with Gateway(config) as gateway:
            seen = await gateway.window(10, 30)
    changes = seen.counters["readings"]
    return Result(
        "OPC UA, 2,000 items, 20,000 changes/s from node-opcua",
        (
            Target("changes/s", changes / seen.at, ">=", 19_800),
            Target("CPU per 1,000", seen.cpu / changes * 1e6, "<=", 15, "ms"),
            Target("changes a whole core would take", changes / seen.cpu, ">=", 50_000),
            Target("dropped", seen.counters.get("readings_dropped", 0), "<=", 0),
        ),
        {"cpu_percent": round(seen.cpu / seen.at * 100), "bad": seen.counters.get("readings_bad", 0)},
        "asyncua's own handler: 18–24 ms per 1,000",
    )


async def many() -> Result:
    slow = "publishing: 500ms, sampling: 0s"
    async with opcua_server(MANY // 2, 1) as first, opcua_server(MANY // 2, 1) as second:
        config = "machines:\n" + machine("plant-1", first, MANY // 2, slow) + machine("plant-2", second, MANY // 2, slow)
        config += 'watch:\n  - limit: {on: "plant-*/*", high: 5000}\n'
        async with Gateway(config) as gateway:
            seen = await gateway.window(15, 30)
    return Result(
        "OPC UA, 10,000 items at 1 Hz from two node-opcua processes",
        (
            Target("of one core", seen.cpu / seen.at * 100, "<=", 25, "%"),
            Target("changes/s", seen.counters["readings"] / seen.at, ">=", 9_900),
            Target("dropped", seen.counters.get("readings_dropped", 0), "<=", 0),
        ),
        {"bad": seen.counters.get("readings_bad", 0)},
    )


async def run() -> list[Result]:
    return [await fast(), await many()]
