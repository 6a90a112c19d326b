"""What one block costs: the full diagnosis of 5 s at 12 kHz, and continuous channels at 25.6 kHz, a block each second.

    python -m benchmarks.vibration.speed --json speed.json

CPU time of `process` alone, the mean of many blocks, on signals that are made up: healthy ones, and an outer race that is damaged.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.analytics.measure import Measure
from gateway import registry
from gateway.contract import Bearing, Detector, DetectorContext, Machine, Tag, TagOptions, Waveform

RPM, BPFO = 1480.0, 3.5848
BLOCKS = 60


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vibration.speed", description=__doc__)
    parser.add_argument("--data", help="not used: the signals are made up")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args(argv)
    found = {
        "diagnosis_ms_healthy": block_ms(12_000.0, 5.0, bearing=True, damaged=False),
        "diagnosis_ms_damaged": block_ms(12_000.0, 5.0, bearing=True, damaged=True),
        "second_ms_with_bearing": block_ms(25_600.0, 1.0, bearing=True, damaged=False),
        "second_ms_without_bearing": block_ms(25_600.0, 1.0, bearing=False, damaged=False),
    }
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def block_ms(rate_hz: float, seconds: float, *, bearing: bool, damaged: bool) -> float:
    """Mean CPU milliseconds of `process`, after it has seen enough blocks to look at all of its memory."""
    detector, spent = built(bearing), []
    for number in range(BLOCKS):
        samples = signal(number, rate_hz, seconds, damaged)
        block = Waveform(tag=0, t_ns=(number + 1) * 10**10, rate_hz=rate_hz, samples=samples, speed_rpm=RPM)
        started = time.process_time()
        detector.process(block)
        spent.append(time.process_time() - started)
    return round(float(np.mean(spent[BLOCKS // 2 :])) * 1e3, 2)


def built(bearing: bool) -> Detector:
    plugin = registry.detector("vibration")
    machine = Machine(name="m", bearing=Bearing(designation="SKF 6205", speed=RPM) if bearing else None)
    tags = (Tag(0, "m", "x", TagOptions(kind="waveform", unit="g")),)
    return plugin.build(plugin.options.model_validate({"on": "m/x"}), DetectorContext(name="v", tags=tags, machines={"m": machine}))


def signal(seed: int, rate_hz: float, seconds: float, damaged: bool) -> np.ndarray[Any, np.dtype[np.float32]]:
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    x = np.random.default_rng(seed).normal(0, 0.05, len(t)) + 0.03 * np.sin(2 * np.pi * RPM / 60 * t)
    if damaged:
        since = np.mod(t, 1 / (BPFO * RPM / 60))
        x += 0.3 * np.exp(-since / 0.0008) * np.sin(2 * np.pi * 3300 * since)
    return x.astype(np.float32)


def measures(found: dict[str, Any]) -> list[Measure]:
    """Beside the targets."""
    worst = max(found["diagnosis_ms_healthy"], found["diagnosis_ms_damaged"])
    return [
        Measure("one block of 5 s at 12 kHz, full diagnosis", worst, "<=", 20, 8, "ms", baseline="5–10 ms"),
    ]


if __name__ == "__main__":
    sys.exit(main())
