"""Modbus TCP as fast as it goes, and 10,000 tags once a second through the anomaly bank."""

from __future__ import annotations

from benchmarks.gateway import Gateway
from benchmarks.result import Result, Target
from benchmarks.servers import modbus_servers

REGISTERS = 1000


def machines(ports: list[int], poll_seconds: float) -> str:
    """One machine a port: 1,000 uint16 holding registers, 125 a request."""
    tags = "".join(f"      r{i:04d}: {{at: {40001 + i}}}\n" for i in range(REGISTERS))
    profile = f"profiles:\n  plc:\n    modbus: {{max_registers: 125}}\n    tags:\n{tags}machines:\n"
    return profile + "".join(
        f'  plc-{i}: {{profile: plc, source: {{modbus: "tcp://127.0.0.1:{port}", poll_seconds: {poll_seconds}}}}}\n'
        for i, port in enumerate(ports)
    )


async def as_fast_as_it_goes() -> Result:
    """8 servers; every value through stages, history and a limit."""
    async with modbus_servers(8) as ports:
        config = machines(ports, 0) + 'watch:\n  - limit: {on: "plc-*/*", high: 5000}\n'
        async with Gateway(config) as gateway:
            seen = await gateway.window(5, 20)
    values = seen.counters["readings"]
    return Result(
        "Modbus TCP, 8 connections × 1,000 registers, as fast as it goes",
        (
            Target("values/s", values / seen.at, ">=", 200_000),
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


async def run() -> list[Result]:
    return [await as_fast_as_it_goes(), await ten_thousand_tags()]
