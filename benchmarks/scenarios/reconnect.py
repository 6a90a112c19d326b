"""A server that comes and goes: how soon after it is up its values flow again, and whether anything grows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from benchmarks.gateway import Gateway
from benchmarks.result import Result, Target, percentile
from benchmarks.scenarios.modbus import machines
from benchmarks.servers import modbus_servers
from gateway.testkit.servers.ports import free_port

TIMES = 50
DOWN_SECONDS = 1.0
PATIENCE_SECONDS = 90.0
Serve = Callable[[], AbstractAsyncContextManager[object]]


async def measured(protocol: str, config: str, serve: Serve, times: int = TIMES) -> Result:
    """`serve` starts the server of `config` at its one address; it is ended and started `times` times.

    The gateway's waits between attempts grow while a server stays away, so what is measured is an outage of a second.
    """
    seconds: list[float] = []
    async with Gateway(config) as gateway:
        memory = 0.0
        for turn in range(times):
            async with serve():
                began = time.perf_counter()
                await _flows(gateway)
                seconds.append(time.perf_counter() - began)
            await asyncio.sleep(DOWN_SECONDS)
            if turn == times // 5:
                memory = gateway.resident_mb()
        grown = gateway.resident_mb() - memory
    return Result(
        f"{protocol}, a server that is away for a second, {times} times",
        (
            Target("slowest until values flow", max(seconds[1:]), "<=", 5, "s"),
            Target("memory grown", grown, "<=", 5, "MB"),
        ),
        {"median_seconds": round(percentile(seconds[1:], 0.5), 3)},
    )


async def _flows(gateway: Gateway) -> None:
    """Until a good reading has come; raises TimeoutError."""
    good = await _good(gateway)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await _good(gateway) <= good:
            await asyncio.sleep(0.05)


async def _good(gateway: Gateway) -> float:
    counters = (await gateway.sample()).counters
    return counters.get("readings", 0.0) - counters.get("readings_bad", 0.0)


async def modbus() -> Result:
    port = free_port()
    config = machines([port], 0.1) + 'watch:\n  - limit: {on: "plc-*/*", high: 5000}\n'
    return await measured("Modbus TCP", config, lambda: modbus_servers(1, first=port))


PROTOCOLS: tuple[Callable[[], Awaitable[Result]], ...] = (modbus,)


async def run() -> list[Result]:
    return [await protocol() for protocol in PROTOCOLS]
