"""Rig of `vibration`: a machine with a 6205 bearing, as acceleration blocks, and the faults of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gateway import registry
from gateway.contract import Bearing, Detector, DetectorContext, Item, Machine, Tag, TagOptions, Waveform

RATE_HZ = 12_000.0
RPM = 1_797.0
BPFO, BPFI = 3.5848, 5.4152  # of the 6205, as CWRU publishes them
START_NS = 1_800_000_000_000_000_000
_RESONANCE_HZ, _DECAY_SECONDS = 3_300.0, 0.0008
_PERIOD_NS = 10_000_000_000


def noise(seed: int, n: int = 12_000, unbalance: float = 0.0, rpm: float = RPM) -> NDArray[np.float32]:
    """A healthy machine in g: white noise of 0.05 rms and a sine of `unbalance` at the shaft frequency."""
    t = np.arange(n) / RATE_HZ
    quiet = np.random.default_rng(seed).normal(0, 0.05, n)
    return (quiet + unbalance * np.sin(2 * np.pi * rpm / 60 * t)).astype(np.float32)


def bursts(
    seed: int, order: float, n: int = 12_000, *, size: float = 0.5, modulation: float = 0.0, rpm: float = RPM
) -> NDArray[np.float32]:
    """Impacts `order` times per revolution, 1 % jitter each, ringing at a resonance, over `noise`.

    modulation   0 in a fixed load zone (outer race); towards 1 the defect turns through it (inner race)
    """
    random = np.random.default_rng(seed + 1_000_000)
    shaft_hz = rpm / 60
    spacing = 1 / (order * shaft_hz)
    times = np.cumsum(spacing * random.normal(1, 0.01, int(n / RATE_HZ / spacing) + 1))
    strength = size * (1 + modulation * np.cos(2 * np.pi * shaft_hz * times))
    hits = np.zeros(n)
    at = (times * RATE_HZ).astype(int)
    np.add.at(hits, at[at < n], strength[at < n])
    t = np.arange(int(8 * _DECAY_SECONDS * RATE_HZ)) / RATE_HZ
    ringing = np.exp(-t / _DECAY_SECONDS) * np.sin(2 * np.pi * _RESONANCE_HZ * t)
    return (noise(seed, n, 0.03, rpm) + np.convolve(hits, ringing)[:n]).astype(np.float32)


def block(number: int, samples: NDArray[np.float32], *, rpm: float | None = RPM, tag: int = 0) -> Waveform:
    """The `number`-th block, one every ten seconds."""
    return Waveform(tag=tag, t_ns=START_NS + number * _PERIOD_NS, rate_hz=RATE_HZ, samples=samples, speed_rpm=rpm)


class Rig:
    """See `gateway.testkit.rigs.DetectorRig`."""

    machines = ("pump-3",)
    tag_names = ("vibration_x",)

    def detector(self) -> Detector:
        plugin = registry.detector("vibration")
        machine = Machine(name="pump-3", bearing=Bearing(designation="SKF 6205", speed="speed"))
        context = DetectorContext(
            name="vibration-1",
            tags=(Tag(0, "pump-3", "vibration_x", TagOptions(kind="waveform", unit="g")),),
            machines={"pump-3": machine},
        )
        return plugin.build(plugin.options.model_validate({"on": "pump-3/vibration_x"}), context)

    def calm(self) -> list[Item]:
        return [block(i, noise(i, unbalance=0.03)) for i in range(12)]

    def faulty(self) -> list[Item]:
        """Healthy, an outer race defect with strong unbalance, healthy again."""
        damaged = [block(i, bursts(i, BPFO) + noise(i, unbalance=0.3)) for i in range(6, 14)]
        return [*self.calm()[:6], *damaged, *(block(i, noise(i, unbalance=0.03)) for i in range(14, 24))]

    def damaged(self) -> list[Item]:
        good = noise(1)
        holes = good.copy()
        holes[100:110] = np.nan
        infinite = good.copy()
        infinite[5] = np.inf
        return [
            block(1, good),
            block(1, good),
            block(0, good),
            block(2, holes),
            block(3, infinite),
            block(4, good[:0]),
            block(5, good[:1023]),
            block(6, good[:1031]),
            block(7, np.zeros(4096, dtype=np.float32)),
            block(8, good, rpm=None),
            block(9, good, rpm=0.0),
            block(10, good, rpm=float("nan")),
            block(11, good, rpm=1e6),
            block(12, good, tag=7),
        ]
