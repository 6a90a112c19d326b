"""Finding → incident → SQLite (FULL) → JetStream acknowledgement: at 2,000 events a second, one by one, as fast as it goes, and
whether a receiver that hangs is felt where findings are accepted.

The child process holds the real parts (`Incidents`, `Acceptance`, `Outbox`, `Sender`, the NATS uplink) and is fed with
findings instead of readings; it runs on the gateway's core, the NATS server on the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nats

from benchmarks.machine import cpu_seconds, pin_gateway, written_bytes
from benchmarks.result import Result, Target, percentile
from benchmarks.servers import scratch
from gateway.app import App
from gateway.config import load
from gateway.contract import Event, Finding, Outcome, Severity, State
from gateway.incidents import Rule
from gateway.testkit.servers.nats import NatsServer

RATE, SECONDS, FLOOD = 2_000, 30.0, 100_000
SLOW_RATE, SLOW_EVENTS = 10, 100
FROZEN_RATE, FROZEN_SECONDS, FROZEN_ROUNDS = 50, 5.0, 4
RULE = Rule("bench", "limit", 0.0, 0.0)
CONFIG = """\
version: 1
site: {{enterprise: acme, site: bench, gateway: bench-01}}
gateway: {{page: "off", state_dir: "{state}", log_level: warning}}
incidents: {{clear_after: 0s, evidence: {{after: 0s}}}}
machines: {{press-07: {{path: press-shop/line-2/cell-1}}}}
deliver: {{hub: {{nats: "{hub}", stream: EVENTS, create_stream: true}}}}
"""


class Feed:
    """Findings into a running gateway, ACTIVE and OVER in turn: each makes one event."""

    def __init__(self, app: App) -> None:
        self._app, self.sent = app, 0
        self.milliseconds: list[float] = []
        self.arrived = 0

    def some(self, count: int) -> None:
        now_ns = time.time_ns() - count
        for number in range(self.sent, self.sent + count):
            begins = number % 2 == 0
            now_ns += 1  # a happening of its own: the same one twice would have the same id
            finding = Finding(
                machine="press-07",
                condition=f"oil_temperature_{number // 2 % 64:02d}_high",
                state=State.ACTIVE if begins else State.OVER,
                t_ns=now_ns,
                since_ns=now_ns,
                severity=Severity.WARNING,
                title="press-07: oil_temperature 71.2 degC above 70",
                tags=("oil_temperature",),
                explanation={"value": 71.2, "limit": 70.0, "limit_name": "high", "unit": "degC"},
            )
            for change in self._app.incidents.apply(finding, RULE):
                self._app.acceptance.change(change)
        self.sent += count

    async def accepted(self) -> float:
        """Milliseconds from one finding until what it caused is on disk."""
        begun = time.perf_counter()
        self.some(1)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._app.acceptance.acknowledge(done)
        await done
        return (time.perf_counter() - begun) * 1e3

    def watch(self) -> None:
        """Take the time of every acknowledgement from the sender's uplink."""
        _, _, _, sender = self._app.edges.senders["hub"]
        send = sender._send

        async def timed(events: Sequence[Event]) -> list[Outcome] | None:
            outcomes = await send(events)
            if outcomes is not None:
                now_ns = time.time_ns()
                self.arrived += len(events)
                self.milliseconds += [(now_ns - event.time_ns) / 1e6 for event in events]
            return outcomes

        sender._send = timed  # type: ignore[method-assign]


async def child(config: Path, server: int) -> dict[str, Any]:
    """Runs in the process under test; `server` is the NATS server's process, to be frozen."""
    app = App(load(config))
    running = asyncio.create_task(app.run())
    while not hasattr(app, "edges") or "hub" not in app.edges.senders:
        await asyncio.sleep(0.01)
    feed = Feed(app)
    feed.watch()
    steady = await _steady(feed)
    slow = await _slow(feed)
    flood = await _flood(app, feed)
    frozen = await _frozen(feed, server)
    await _until(feed, feed.sent)
    stored = app.outbox.accepted
    app.stop()
    await running
    return {"steady": steady, "slow": slow, "flood": flood, "frozen": frozen, "stored": stored}


async def _steady(feed: Feed) -> dict[str, float]:
    feed.some(200)
    await _until(feed, 200)
    feed.milliseconds.clear()
    cpu, started, base, written = cpu_seconds(os.getpid()), time.monotonic(), feed.sent, written_bytes(os.getpid())
    while (passed := time.monotonic() - started) < SECONDS:
        if (due := int(passed * RATE) + base - feed.sent) > 0:
            feed.some(due)
        await asyncio.sleep(0.002)
    await _until(feed, feed.sent)
    return {
        "per_second": (feed.sent - base) / SECONDS,
        "p50": percentile(feed.milliseconds, 0.5),
        "p99": percentile(feed.milliseconds, 0.99),
        "cpu_us": (cpu_seconds(os.getpid()) - cpu) / (feed.sent - base) * 1e6,
        "written": (written_bytes(os.getpid()) - written) / (feed.sent - base),
    }


async def _slow(feed: Feed) -> dict[str, float]:
    """One by one: the dearest way for flash memory, a commit for each event and one for its delivery."""
    base, written = feed.sent, written_bytes(os.getpid())
    for _ in range(SLOW_EVENTS):
        feed.some(1)
        await asyncio.sleep(1 / SLOW_RATE)
    await _until(feed, feed.sent)
    return {"written": (written_bytes(os.getpid()) - written) / (feed.sent - base)}


async def _frozen(feed: Feed, server: int) -> dict[str, float]:
    """Healthy and frozen in turn, so that what else the machine does falls on both."""
    took: dict[bool, list[float]] = {False: [], True: []}
    for round_ in range(2 * FROZEN_ROUNDS):
        is_frozen = round_ % 2 == 1
        os.kill(server, signal.SIGSTOP if is_frozen else signal.SIGCONT)
        until = time.monotonic() + FROZEN_SECONDS
        while time.monotonic() < until:
            took[is_frozen].append(await feed.accepted())
            await asyncio.sleep(1 / FROZEN_RATE)
    os.kill(server, signal.SIGCONT)
    return {"healthy_p99": percentile(took[False], 0.99), "frozen_p99": percentile(took[True], 0.99)}


async def _flood(app: App, feed: Feed) -> dict[str, float]:
    pid, thread = os.getpid(), app.outbox._writer._thread.native_id
    cpu, disk, written = cpu_seconds(pid), cpu_seconds(pid, thread), written_bytes(pid)
    started, base, commits = time.monotonic(), feed.sent, app.outbox.commits
    while feed.sent - base < FLOOD:
        await app.acceptance.room(1.0)
        feed.some(100)
        await asyncio.sleep(0)
    await _until(feed, feed.sent)
    seconds = time.monotonic() - started
    return {
        "per_second": FLOOD / seconds,
        "cpu_us": (cpu_seconds(pid) - cpu) / FLOOD * 1e6,
        "disk_us": (cpu_seconds(pid, thread) - disk) / FLOOD * 1e6,
        "written": (written_bytes(pid) - written) / FLOOD,
        "commits_per_second": (app.outbox.commits - commits) / seconds,
    }


async def _until(feed: Feed, count: int) -> None:
    async with asyncio.timeout(180):
        while feed.arrived < count:
            await asyncio.sleep(0.005)


async def run() -> list[Result]:
    folder, hub = scratch("bench-outbox"), NatsServer()
    config = folder / "lineside.yaml"
    await hub.start()
    try:
        config.write_text(CONFIG.format(state=folder / "state", hub=hub.url))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, str(config), str(hub.pid), stdout=asyncio.subprocess.PIPE, preexec_fn=pin_gateway
        )
        out, _ = await process.communicate()
        if process.returncode:
            raise SystemExit("the outbox child failed")
        found = json.loads(out)
        client = await nats.connect(hub.url)
        info = await client.jetstream().stream_info("EVENTS")
        await client.close()
    finally:
        await hub.stop()
    return [
        Result(
            "finding → SQLite (FULL) → JetStream acknowledgement",
            (
                Target("events/s, steady", found["steady"]["per_second"], ">=", 1_990),
                Target("p99 at 2,000/s", found["steady"]["p99"], "<=", 50, "ms"),
                Target("events/s, flood", found["flood"]["per_second"], ">=", 10_000),
                Target(
                    "detection p99, receiver frozen against healthy",
                    found["frozen"]["frozen_p99"] / found["frozen"]["healthy_p99"],
                    "<=",
                    1.1,
                ),
                Target("lost", found["stored"] - info.state.messages, "<=", 0),
            ),
            {
                "p50_ms": round(found["steady"]["p50"], 1),
                "cpu_us_per_event_steady": round(found["steady"]["cpu_us"]),
                "cpu_us_per_event_flood": round(found["flood"]["cpu_us"]),
                "cpu_us_per_event_flood_outbox_thread": round(found["flood"]["disk_us"]),
                "bytes_written_per_event_flood": round(found["flood"]["written"]),
                "bytes_written_per_event_at_2000": round(found["steady"]["written"]),
                "bytes_written_per_event_one_by_one": round(found["slow"]["written"]),
                "accepted_p99_ms_healthy": round(found["frozen"]["healthy_p99"], 2),
                "accepted_p99_ms_frozen": round(found["frozen"]["frozen_p99"], 2),
                "commits_per_second_flood": round(found["flood"]["commits_per_second"]),
                "stored": found["stored"],
                "in_stream": info.state.messages,
            },
            "SAP Event Mesh, as published: 1,000–2,000/s below 20 ms",
        )
    ]


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(child(Path(sys.argv[1]), int(sys.argv[2])))))
