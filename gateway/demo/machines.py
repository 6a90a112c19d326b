"""The four machines of the simulated plant: what their sensors would show after another `dt` seconds."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.demo.signals import Lag, Vibration

VIBRATION_HZ = 12_000.0
BLOCK_SECONDS = 1.0
OIL_NORMAL, OIL_DRIFTED = 52.0, 82.0
HEALTHY_MM_S, HEALTHY_NOISE_G, WORST_STRIKE_G = 0.9, 0.03, 1.6
HEARD = 0.1
"""Part of a strike at the drive end that comes through to the free end."""
STEPS = ("released", "pressed", "milled", "inspected")


class Press:
    """A hydraulic press; one stroke takes four seconds. Its oil cooler can fail, in time lapse."""

    def __init__(self, seed: int = 1) -> None:
        self._noise = random.Random(seed)
        self._oil = Lag(OIL_NORMAL, seconds=4.0)
        self._clock = 0.0
        self.drifting = False

    def drift(self, seconds: float) -> None:
        """The cooler fails; the oil heats up with this time constant."""
        self.drifting, self._oil.seconds = True, seconds

    def repair(self) -> None:
        """A new cooler."""
        self.drifting, self._oil.seconds = False, 4.0

    def step(self, dt: float) -> dict[str, float]:
        """oil_temperature degC, oil_pressure bar, ram_position mm, strokes."""
        self._clock += dt
        oil = self._oil.step(dt, OIL_DRIFTED if self.drifting else OIL_NORMAL)
        phase = self._clock / 4.0 % 1.0
        down = max(0.0, math.sin(2 * math.pi * phase))
        return {
            "oil_temperature": oil + self._noise.gauss(0, 0.12),
            "oil_pressure": 60 + 120 * down**3 + self._noise.gauss(0, 0.8),
            "ram_position": round(400 * (1 - down), 1),
            "strokes": float(int(self._clock / 4.0)),
        }


class Cnc:
    """A milling machine; twelve seconds of cutting, three of changing the tool."""

    def __init__(self, seed: int = 2) -> None:
        self._noise = random.Random(seed)
        self._clock = 0.0
        self._load, self._speed, self._temperature = Lag(20.0, 0.6), Lag(6000.0, 0.4), Lag(38.0, 60.0)

    def step(self, dt: float) -> dict[str, float]:
        """spindle_load %, spindle_speed rpm, spindle_temperature degC, feed mm/min."""
        self._clock += dt
        cutting = self._clock % 15.0 < 12.0
        load = self._load.step(dt, 58.0 if cutting else 4.0)
        return {
            "spindle_load": max(0.0, load + self._noise.gauss(0, 1.5)),
            "spindle_speed": max(0.0, self._speed.step(dt, 8000.0 if cutting else 0.0) + self._noise.gauss(0, 4)),
            "spindle_temperature": self._temperature.step(dt, 46.0 if cutting else 38.0) + self._noise.gauss(0, 0.05),
            "feed": 1200.0 + self._noise.gauss(0, 3) if cutting else self._noise.uniform(0, 1),
        }


class Pump:
    """A cooling pump on an SKF 6205 at its drive end, whose outer race can get a pit that grows; the free end hears a part of it."""

    def __init__(self, seed: int = 3) -> None:
        self._noise = random.Random(seed)
        self._vibration = Vibration(VIBRATION_HZ, velocity=HEALTHY_MM_S, noise_g=HEALTHY_NOISE_G, seed=seed)
        self._free_end = Vibration(VIBRATION_HZ, velocity=HEALTHY_MM_S, noise_g=HEALTHY_NOISE_G, seed=seed + 10)
        self._strike_g, self._target_g, self._growth_g = 0.0, 0.0, 0.0
        self.speed_rpm = 1480.0

    def outer_race(self, severity: float, seconds: float) -> None:
        """The pit grows to `severity` (0..1) within `seconds`."""
        self._target_g = severity * WORST_STRIKE_G
        self._growth_g = self._target_g / max(seconds, BLOCK_SECONDS)

    def repair(self) -> None:
        """A new bearing."""
        self._strike_g = self._target_g = 0.0

    def step(self) -> tuple[float, float, NDArray[np.float32], NDArray[np.float32]]:
        """(speed rpm, flow m3/h, acceleration in g during the block at the drive end, and at the free end)."""
        self._strike_g = min(self._target_g, self._strike_g + self._growth_g * BLOCK_SECONDS)
        self.speed_rpm += 0.2 * (1480.0 - self.speed_rpm) + self._noise.gauss(0, 0.6)
        samples = round(VIBRATION_HZ * BLOCK_SECONDS)
        near = self._vibration.block(samples, self.speed_rpm, self._strike_g)
        far = self._free_end.block(samples, self.speed_rpm, HEARD * self._strike_g)
        return self.speed_rpm, 42.0 + self._noise.gauss(0, 0.2), near, far


@dataclass
class Mes:
    """Sends each order through its steps, one after another."""

    order: int = 4711
    _step: int = 0

    def next(self) -> tuple[str, str]:
        """(order, step) that was just reached."""
        found = (str(self.order), STEPS[self._step])
        self._step += 1
        if self._step == len(STEPS):
            self._step, self.order = 0, self.order + 1
        return found
