"""An encrypted OPC UA server that is cut off 50 times: how long from its being up to the next reading, and what that costs in memory.

The driver runs alone, with half a second between two attempts: the supervisor's wait doubles for a peer that never stays a minute.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from statistics import median

from benchmarks.machine import pin_gateway
from benchmarks.result import Result, Target
from gateway.testkit.servers.opcua import OpcuaServer

CUTS, WARM_UP = 50, 10
AWAY_SECONDS = 1.0
ITEMS = 100


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    if not line:
        raise SystemExit("the reader ended")
    return line.decode().strip()


async def _cut(server: OpcuaServer, process: asyncio.subprocess.Process) -> tuple[float, float]:
    """(seconds from being up to the first reading, MB of the reader)"""
    await server.stop()
    await asyncio.sleep(AWAY_SECONDS)
    await server.start()
    began = time.perf_counter()
    told = json.loads(await _line(process))
    return time.perf_counter() - began, float(told["rss_mb"])


async def run() -> list[Result]:
    pipe = asyncio.subprocess.PIPE
    async with OpcuaServer({f"v{i}": float(i) for i in range(ITEMS)}, encrypted=True) as server:
        command = (sys.executable, "-m", "benchmarks.loads.opcua_reader", server.url, server.node("v"), str(ITEMS))
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=dict(os.environ), preexec_fn=pin_gateway)
        try:
            while (await _line(process)) != "ready":
                pass
            await _line(process)
            seen = [await _cut(server, process) for _ in range(CUTS)]
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()
    took, memory = [seconds for seconds, _ in seen], [megabytes for _, megabytes in seen]
    return [
        Result(
            "OPC UA, encrypted, 100 items, server cut off 50 times",
            (
                Target("slowest first reading", max(took), "<=", 5, "s"),
                Target("memory growth, cut 10 to 50", memory[-1] - memory[WARM_UP - 1], "<=", 5, "MB"),
            ),
            {"median_s": round(median(took), 2), "rss_mb": round(memory[-1])},
            "Telegraf, ThingsBoard gateway: subscriptions that stay dead after a restart of the server (their issues)",
        )
    ]
