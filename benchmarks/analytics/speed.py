"""The default bank on 10,000 tags, once a second each: CPU per sample, memory per tag, and whether it grows.

python -m benchmarks.analytics.speed --json speed.json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.analytics.measure import Measure
from benchmarks.analytics.run import watched
from gateway import registry
from gateway.contract import Batch, DetectorContext, Machine, Tag

TAGS, SAMPLES = 10_000, 10_000_000
SECOND_NS = 1_000_000_000
BEGIN_NS = 1_800_000_000 * SECOND_NS
MACHINE_TAGS = 100
WARM_UP = {"warm_up": "5m"}  # as long as its readings take, so that most of the run is behind it
_PAGE = os.sysconf("SC_PAGE_SIZE")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analytics.speed", description=__doc__)
    parser.add_argument("--data", help="not used: the readings are made up")
    parser.add_argument("--tags", type=int, default=TAGS)
    parser.add_argument("--samples", type=int, default=SAMPLES, help=f"of all tags together; default {SAMPLES:,}")
    parser.add_argument("--detector", default="anomaly", metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args(argv)
    found = {options.detector: run(options.detector, options.tags, options.samples)}
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def run(name: str, tags: int, samples: int) -> dict[str, Any]:
    """CPU is that of `process` alone; resident memory is the process's, so what it grew by is an upper bound."""
    plugin, before = registry.detector(name), resident()
    known = {key: value for key, value in WARM_UP.items() if key in plugin.options.model_fields}
    detector = plugin.build(plugin.options.model_validate({"on": "*/*", **known}), context(name, tags))
    ticks, findings = max(samples // tags, 4), 0
    spent, memory = np.zeros(ticks), np.zeros(ticks)
    for tick, batch in enumerate(watched(readings(tags, ticks), name, ticks)):
        started = time.process_time()
        findings += len(detector.process(batch))
        spent[tick] = time.process_time() - started
        memory[tick] = resident()
    half = ticks // 2
    return {
        "tags": tags,
        "samples": ticks * tags,
        "findings": findings,
        "microseconds_per_sample": round(float(spent[half:].sum()) / (ticks - half) / tags * 1e6, 3),
        "microseconds_per_sample_first_half": round(float(spent[:half].sum()) / half / tags * 1e6, 3),
        "slowest_tick_ms": round(float(spent.max()) * 1e3, 1),
        "state_bytes_per_tag": round(len(detector.dump()) / tags),
        "resident_bytes_per_tag": round((memory[-1] - before) / tags),
        "growth_bytes_per_tag": round((memory[-1] - memory[half]) / tags),
    }


def readings(tags: int, ticks: int) -> Iterator[Batch]:
    """Levels of their own, noise, a slow swing; a step that stays on one tag in a thousand."""
    rng, index = np.random.default_rng(5), np.arange(tags, dtype=np.int32)
    level, swing = rng.uniform(10, 90, tags), rng.uniform(0.1, 2, tags)
    for tick in range(ticks):
        value = level + swing * np.sin(tick / 700.0) + rng.normal(0.0, 0.5, tags)
        if tick > 3 * ticks // 4:
            value[::1000] += 20.0
        yield Batch.of(index, np.full(tags, BEGIN_NS + tick * SECOND_NS), value)


def context(name: str, tags: int) -> DetectorContext:
    names = [f"m{number // MACHINE_TAGS}" for number in range(tags)]
    return DetectorContext(
        name=name,
        tags=tuple(Tag(number, machine, f"t{number}") for number, machine in enumerate(names)),
        machines={machine: Machine(name=machine) for machine in names},
        timezone=ZoneInfo("UTC"),
    )


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def measures(found: dict[str, Any]) -> list[Measure]:
    bank = found["anomaly"]
    what = f"{bank['tags']:,} tags × 1 Hz, {bank['samples']:.0e} samples"
    grown = f"state {bank['state_bytes_per_tag'] / 1e3:.1f} kB; grew by {bank['growth_bytes_per_tag']:,} B per tag in the second half"
    speed, memory = bank["microseconds_per_sample"], bank["resident_bytes_per_tag"] / 1e3
    return [
        Measure(f"{what}, default bank", speed, "<=", 4, 1, "µs/sample", baseline="17 µs, pure Python"),
        Measure("memory per tag", memory, "<=", 16, 8, "kB", baseline="about 10 kB", detail=grown),
    ]


if __name__ == "__main__":
    sys.exit(main())
