"""A million events wait: how the gateway starts with them, how it drains them, and how fast a critical one gets past.

The file is filled by the outbox's own `append`. Start and memory are those of `lineside run` with a hub that is away; draining is
measured in a child process that holds the real parts, as in `outbox`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks.gateway import Gateway
from benchmarks.machine import cpu_seconds, pin_gateway
from benchmarks.result import Result, Target, percentile
from benchmarks.servers import scratch
from gateway.app import App
from gateway.config import load
from gateway.contract import Event, Outcome, Severity
from gateway.outbox.append import Addressed, append
from gateway.outbox.database import FILE_NAME, open_database
from gateway.testkit.rigs import event
from gateway.testkit.servers.nats import NatsServer
from gateway.testkit.servers.ports import free_port

EVENTS, DATA_BYTES, SECONDS, CRITICAL_EVERY = 1_000_000, 500, 60.0, 0.05
TEN_DAYS = 864_000
CONFIG = """\
machines: {{press-07: {{path: press-shop/line-2/cell-1}}}}
deliver: {{hub: {{nats: "{hub}", stream: EVENTS, create_stream: true, timeout: 5s}}, buffer: {{max_megabytes: 4096}}}}
"""
SITE = """\
version: 1
site: {{enterprise: acme, site: bench, gateway: bench-01}}
gateway: {{page: "off", state_dir: "{state}", log_level: warning}}
"""


def fill(folder: Path, count: int) -> None:
    """An outbox with so many events of a hundred machines, as it is after an outage."""
    db, _ = open_database(folder)
    db.execute("PRAGMA synchronous=OFF")
    data = b'{"title":"' + b"x" * (DATA_BYTES - 12) + b'"}'
    now_ns = time.time_ns()
    for start in range(0, count, 500):
        batch = [
            replace(event(n, data=data), recorded_ns=now_ns, time_ns=now_ns, partitionkey=f"press-{n % 100:02d}")
            for n in range(start, start + 500)
        ]
        db.execute("BEGIN")
        append(db, [], [Addressed(each, ("hub",)) for each in batch])
        db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()


async def started(folder: Path) -> tuple[float, float]:
    """Seconds to READY and resident memory after ten more, with a hub that is away. The second start: the first makes things."""
    config = CONFIG.format(hub=f"nats://127.0.0.1:{free_port()}")
    async with Gateway(config, folder):
        await asyncio.sleep(1.0)
    async with Gateway(config, folder) as gateway:
        await asyncio.sleep(10.0)
        return gateway.ready_seconds, gateway.resident_mb()


async def child(config: Path, seconds: float) -> dict[str, float]:
    """Runs in the process under test: drains for so long, with a critical event twenty times a second."""
    app = App(load(config))
    running = asyncio.create_task(app.run())
    while not hasattr(app, "edges") or "hub" not in app.edges.senders:
        await asyncio.sleep(0.01)
    milliseconds: list[float] = []
    arrived = 0
    sender = app.edges.senders["hub"][3]
    send = sender._send

    async def timed(events: Sequence[Event]) -> list[Outcome] | None:
        nonlocal arrived
        outcomes = await send(events)
        if outcomes is not None:
            now_ns, arrived = time.time_ns(), arrived + len(events)
            milliseconds.extend((now_ns - each.time_ns) / 1e6 for each in events if each.severity == Severity.CRITICAL)
        return outcomes

    sender._send = timed  # type: ignore[method-assign]
    while not arrived:
        await asyncio.sleep(0.01)
    before, cpu, begun, number = arrived, cpu_seconds(os.getpid()), time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds:
        now_ns, number = time.time_ns(), number + 1
        urgent = replace(event(number), id=f"urgent-{number}", severity=Severity.CRITICAL, time_ns=now_ns, recorded_ns=now_ns)
        await app.outbox.append([], [Addressed(urgent, ("hub",))])
        await asyncio.sleep(CRITICAL_EVERY)
    found = {
        "per_second": (arrived - before) / passed,
        "cpu_us": (cpu_seconds(os.getpid()) - cpu) / (arrived - before) * 1e6,
        "p99": percentile(milliseconds, 0.99),
        "p50": percentile(milliseconds, 0.5),
        "critical": len(milliseconds),
    }
    app.stop()
    await running
    return found


async def drained(folder: Path) -> Any:
    async with NatsServer() as hub:
        return await drain(folder, CONFIG.format(hub=hub.url), SECONDS)


async def drain(folder: Path, deliver: str, seconds: float) -> Any:
    """What the child found; `deliver` is the rest of its configuration."""
    config = folder / "drain.yaml"
    config.write_text(SITE.format(state=folder / "state") + deliver)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.scenarios.backlog",
        str(config),
        str(seconds),
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=pin_gateway,
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise SystemExit("the backlog child failed")
    return json.loads(out)


async def run() -> list[Result]:
    folder, empty = scratch("bench-backlog"), scratch("bench-empty")
    try:
        fill(folder / "state", EVENTS)
        size = (folder / "state" / FILE_NAME).stat().st_size
        _, lean = await started(empty)
        ready, resident = await started(folder)
        drain = await drained(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(empty, ignore_errors=True)
    return [
        Result(
            f"a backlog of {EVENTS:,} events of {DATA_BYTES} bytes",
            (
                Target("start", ready, "<=", 2.0, "s"),
                Target("memory beyond an empty one", resident - lean, "<=", 30, "MB"),
                Target("drained to JetStream, events/s", drain["per_second"], ">=", 5_000),
                Target("p99 of critical events meanwhile", drain["p99"] / 1e3, "<=", 1.0, "s"),
                Target("ten days at one event a second", size / EVENTS * TEN_DAYS / 1e9, "<=", 1.0, "GB"),
            ),
            {
                "resident_mb": round(resident, 1),
                "bytes_per_event": round(size / EVENTS),
                "cpu_us_per_event_drained": round(drain["cpu_us"]),
                "critical_p50_ms": round(drain["p50"], 1),
                "critical_events": drain["critical"],
            },
        )
    ]


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(child(Path(sys.argv[1]), float(sys.argv[2])))))
