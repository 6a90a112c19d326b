"""Continuous channels at 25.6 kHz through the gateway's own line: pipeline, watch, analysis thread, incidents.

    python -m benchmarks.vibration.through --json through.json

500 channels, four on each machine, give a block of a second each, all at the same moment, as often as the line has done with them. CPU
time of the whole process: features, spectrum and envelope of every block, and everything the line does beside it. Signals are made up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.analytics.measure import Measure
from benchmarks.vibration.speed import signal
from gateway.clock import SystemClock
from gateway.config.load import load
from gateway.contract import Severity, Waveform
from gateway.engine.accept import Acceptance, Route
from gateway.engine.cases import Cases
from gateway.engine.inbox import Inbox
from gateway.engine.lane import Lanes
from gateway.engine.line import Line
from gateway.engine.pipeline import Pipeline
from gateway.engine.snapshot import Snapshots
from gateway.events.build import EventBuilder
from gateway.incidents import Incidents
from gateway.outbox.store import Outbox
from gateway.telemetry.counts import Counts

CHANNELS, OF_EACH, SECONDS, RATE_HZ = 500, 4, 8, 25_600.0
T_NS = 1_800_000_000_000_000_000
_SIGNALS = 8


def configuration(folder: Path, *, bearing: bool) -> Path:
    own = "bearing: {designation: SKF 6205, speed: 1480}" if bearing else ""
    kind = f"kind: waveform, format: float32le, rate_hz: {RATE_HZ:g}, unit: g"
    channels = ", ".join(f"x{number}: {{topic: v/{number}, {kind}}}" for number in range(OF_EACH))
    machines = "".join(
        f'  m{number}:\n    source: {{mqtt: "mqtt://127.0.0.1:{number + 1}"}}\n    tags: {{{channels}}}\n    {own}\n'
        for number in range(CHANNELS // OF_EACH)
    )
    path = folder / "lineside.yaml"
    path.write_text(
        f"version: 1\nsite: {{enterprise: acme, site: dresden, gateway: bench-01}}\nmachines:\n{machines}"
        'watch:\n  - vibration: {on: "m*/x*"}\ndeliver:\n  plant: {nats: "nats://127.0.0.1:1", stream: EVENTS}\n'
        f"gateway: {{state_dir: {folder}}}\n",
        encoding="utf-8",
    )
    return path


class Gateway:
    """The line without its edges: blocks are given by hand, events end in a real outbox."""

    def __init__(self, folder: Path, *, bearing: bool) -> None:
        settings = load(configuration(folder, bearing=bearing))
        clock, self.counts = SystemClock(), Counts()
        self.outbox, self.line = Outbox(folder / "state", clock), Line.of(settings)
        self.outbox.open()
        builder = EventBuilder(settings.site.urn)
        cases = Cases(
            builder, machines=settings.machines, history=self.line.history, settings=settings.incidents, counts=self.counts, clock=clock
        )
        self.acceptance = Acceptance(self.outbox, cases, [Route("plant", Severity.INFO, ())], self.counts)
        incidents = Incidents(clock, builder.incident_id, evidence_seconds=0.0)
        self.pipeline = Pipeline(self.line, incidents, self.acceptance, clock=clock, counts=self.counts, progress=lambda: None)
        self.inbox = Inbox("block", wake=self.pipeline.wake, took=lambda _: None, dropped=self._dropped)
        self.pipeline.inboxes["m"] = self.inbox
        self.snapshots, self.files, self.clock = Snapshots(folder / "detectors"), ThreadPoolExecutor(1), clock

    def _dropped(self, what: str, reason: str, count: int) -> None:
        self.counts.add(f"{what}_dropped", count, reason=reason)

    async def second(self, number: int, signals: Sequence[np.ndarray[Any, np.dtype[np.float32]]]) -> None:
        """One block of every channel, all at once, until the last of them was looked at."""
        at_ns = T_NS + number * 10**9
        blocks: list[Any] = [
            Waveform(tag=tag, t_ns=at_ns, rate_hz=RATE_HZ, samples=signals[(number + tag) % len(signals)]) for tag in range(CHANNELS)
        ]
        await self.inbox.emit(blocks)
        lane = self.pipeline.lane(self.line.watches[0].name)
        while self.inbox.samples or (lane is not None and not lane.idle):
            await asyncio.sleep(0.005)

    async def run(self) -> list[float]:
        """CPU seconds of each second of the plant."""
        signals, spent = [signal(seed, RATE_HZ, 1.0, damaged=False) for seed in range(_SIGNALS)], []
        async with asyncio.TaskGroup() as tasks:
            lanes = Lanes(tasks, self.snapshots, found=self.pipeline.found, counts=self.counts, files=self.files, clock=self.clock)
            self.pipeline.lane = lanes.get
            await lanes.start(self.line.watches)
            work = [tasks.create_task(self.pipeline.run()), tasks.create_task(self.acceptance.run())]
            while self.line.watches[0].detector is None:
                await asyncio.sleep(0.01)
            for number in range(SECONDS):
                started = time.process_time()
                await self.second(number, signals)
                spent.append(time.process_time() - started)
            for task in work:
                task.cancel()
            await lanes.stop()
            lanes.close()
        await self.outbox.close()
        self.files.shutdown()
        return spent


def figures(*, bearing: bool) -> dict[str, Any]:
    """CPU milliseconds of one channel's second, and how many channels one core carries; what was dropped was not looked at."""
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(Path(folder), bearing=bearing)
        spent = asyncio.run(gateway.run())
    each = float(np.mean(spent[SECONDS // 2 :])) / CHANNELS
    dropped = gateway.counts.total("analysis_dropped") + gateway.counts.total("waveforms_dropped")
    found = {"second_ms": round(each * 1e3, 3), "channels_per_core": round(1 / each), "dropped": dropped}
    return found | {"channels": CHANNELS, "blocks": gateway.counts.total("waveforms"), "findings": gateway.counts.total("findings")}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vibration.through", description=__doc__)
    parser.add_argument("--data", help="not used: the signals are made up")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args(argv)
    found = {name: figures(bearing=bearing) for name, bearing in (("without_bearing", False), ("with_bearing", True))}
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def measures(found: dict[str, Any]) -> list[Measure]:
    """Beside the target; blocks that were dropped were not carried."""
    plain, full = found["without_bearing"], found["with_bearing"]
    carried = 0 if plain["dropped"] else plain["channels_per_core"]
    dropped = plain["dropped"] + full["dropped"]
    detail = f"with the diagnosis of a bearing {full['channels_per_core']}; {plain['channels']} channels at once, {dropped} blocks dropped"
    title = "channels at 25.6 kHz per core through the gateway's line: features, spectrum and envelope each second"
    return [Measure(title, carried, ">=", 500, 1500, baseline="2,672 numpy chain", detail=detail)]


if __name__ == "__main__":
    sys.exit(main())
