"""What a source in a process of its own costs, and what its neighbour notices when it loops or takes all memory."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from benchmarks.gateway import Gateway, Sample
from benchmarks.machine import cpu_seconds, resident_mb
from benchmarks.result import Result, Target
from benchmarks.scenarios.modbus import machines
from benchmarks.servers import HERE, modbus_servers

PLUGIN = HERE / "loads" / "plugin"
POLL_SECONDS = 0.1
SECONDS = 20.0
WATCH = 'watch:\n  - limit: {on: "plc-*/*", high: 5000}\n'


async def cost() -> Result:
    """1,000 registers ten times a second, in the gateway's process and in one of their own."""
    async with modbus_servers(1) as ports:
        config = machines(ports, POLL_SECONDS) + WATCH
        ours, _ = await _measured(config)
        alone, memory = await _measured(config.replace("source: {", "source: {isolated: true, "))
    here, there = (seen.cpu / seen.counters["readings"] * 1e6 for seen in (ours, alone))
    return Result(
        "1,000 registers ten times a second in a process of their own",
        (
            Target("memory of the process", memory, "<=", 70, "MB"),
            Target("CPU per 1,000, both processes", there, "<=", 10, "ms"),
            Target("values/s", alone.counters["readings"] / alone.at, ">=", 9_900),
        ),
        {"cpu_ms_per_1000_in_the_gateway": round(here, 2), "polls_skipped": alone.counters.get("polls_skipped", 0)},
    )


async def _measured(config: str) -> tuple[Sample, float]:
    """(what was seen, with the CPU of the source's process in it; memory of that process)"""
    async with Gateway(config) as gateway:
        await asyncio.sleep(5)
        children = _children(gateway.pid)
        before = sum(map(cpu_seconds, children))
        seen = await gateway.window(0, SECONDS)
        cpu = sum(map(cpu_seconds, children)) - before
        return Sample(seen.at, seen.cpu + cpu, seen.counters), sum(map(resident_mb, children))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def neighbour() -> Result:
    """The same registers, read by the gateway, beside nobody, one that loops, and one that eats."""
    found: dict[str, Sample] = {}
    async with modbus_servers(1) as ports:
        for bad in ("", "loop", "eat"):
            source = f"  bad: {{source: {{looping: {bad}, isolated_silence: 3s}}, tags: {{a: {{}}}}}}\n" if bad else ""
            os.environ["PYTHONPATH"] = os.pathsep.join([str(PLUGIN), os.environ.get("PYTHONPATH", "")])
            async with Gateway(machines(ports, POLL_SECONDS) + source + WATCH) as gateway:
                found[bad or "nobody"] = await gateway.window(5, SECONDS)
    due = SECONDS / POLL_SECONDS
    missed = {beside: seen.counters.get("polls_skipped", 0.0) for beside, seen in found.items()}
    stopped = {beside: seen.counters.get("source_processes_ended", 0.0) for beside, seen in found.items() if beside != "nobody"}
    return Result(
        "1,000 registers ten times a second beside a driver that loops, or eats memory, until it is stopped, again and again",
        (
            Target("polls missed beside one that loops, more than beside nobody", missed["loop"] - missed["nobody"], "<=", 0.02 * due),
            Target("beside one that eats", missed["eat"] - missed["nobody"], "<=", 0.02 * due),
            Target("times it was stopped, at least", min(stopped.values()), ">=", 2),
        ),
        {"polls": due, "missed": missed, "stopped": stopped},
    )


async def run() -> list[Result]:
    return [await cost(), await neighbour()]
