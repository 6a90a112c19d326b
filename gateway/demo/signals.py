"""The signals of the simulated plant: pure but for their own seeded noise, continuous over any cut into blocks.

The bearing follows R. B. Randall, J. Antoni, "Rolling element bearing diagnostics: a tutorial", MSSP 25 (2011) 485-520:
each ball that passes a pit of the outer race strikes a resonance of the housing, and slip makes the strikes quasi-periodic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

GRAVITY: Final = 9.80665
RING_SECONDS: Final = 0.02
RESONANCE_HZ: Final = 3000.0
DAMPING: Final = 0.06
JITTER: Final = 0.015


@dataclass(frozen=True)
class Geometry:
    """A ball bearing; diameters in one unit, the contact angle in degrees."""

    balls: int
    ball_diameter: float
    pitch_diameter: float
    contact_angle: float = 0.0

    @property
    def outer_race_order(self) -> float:
        """Ball passes of the outer race per turn of the shaft: n/2 (1 - d/D cos a).

        >>> round(SKF_6205.outer_race_order, 3)
        3.585
        """
        return self.balls / 2 * (1 - self.ball_diameter / self.pitch_diameter * math.cos(math.radians(self.contact_angle)))


SKF_6205: Final = Geometry(balls=9, ball_diameter=7.94, pitch_diameter=39.04)


def burst(seconds: NDArray[np.float64], hz: float = RESONANCE_HZ, damping: float = DAMPING) -> NDArray[np.float64]:
    """Answer of a resonance of one degree of freedom to a strike at 0: exp(-2 pi damping hz t) sin(2 pi hz t), 0 before it."""
    after = np.maximum(seconds, 0.0)
    omega = 2 * math.pi * hz
    ring: NDArray[np.float64] = np.exp(-damping * omega * after) * np.sin(omega * after)
    return ring


class Vibration:
    """Acceleration of a pump's bearing housing in g: unbalance at shaft speed, noise, and the outer race's strikes.

    velocity   mm/s rms of the unbalance (ISO 20816-3 judges it)
    noise_g    g rms, white
    """

    def __init__(self, rate_hz: float, *, velocity: float, noise_g: float, bearing: Geometry = SKF_6205, seed: int = 1) -> None:
        self._rate_hz, self._velocity, self._noise_g = rate_hz, velocity, noise_g
        self._order = bearing.outer_race_order
        self._noise, self._slip = np.random.default_rng(seed), np.random.default_rng(seed + 1)
        self._turns = 0.0
        self._strike_at = 1.0  # in ball passes from now
        self._tail = np.zeros(round(RING_SECONDS * rate_hz))

    def block(self, samples: int, speed_rpm: float, fault_g: float = 0.0) -> NDArray[np.float32]:
        """float32[samples], the continuation of the last block; `fault_g` is the height of a strike in g."""
        turns_per_sample = speed_rpm / 60 / self._rate_hz
        turns = self._turns + turns_per_sample * np.arange(samples)
        self._turns = (self._turns + turns_per_sample * samples) % 1.0
        signal = _acceleration_g(self._velocity, speed_rpm) * np.sin(2 * math.pi * turns)
        signal += self._noise_g * self._noise.standard_normal(samples)
        signal += self._strikes(samples, turns_per_sample * self._order, fault_g)
        block: NDArray[np.float32] = signal.astype(np.float32)
        return block

    def _strikes(self, samples: int, passes_per_sample: float, fault_g: float) -> NDArray[np.float64]:
        at = []
        while self._strike_at < samples * passes_per_sample:
            at.append(self._strike_at / passes_per_sample)
            self._strike_at += 1.0 + JITTER * self._slip.standard_normal()
        self._strike_at -= samples * passes_per_sample
        ringing = np.zeros(samples + len(self._tail))
        ringing[: len(self._tail)] += self._tail
        if at:
            position = np.array(at)[:, None]
            index = np.ceil(position).astype(np.int64) + np.arange(len(self._tail))
            np.add.at(ringing, index, fault_g * burst((index - position) / self._rate_hz))
        self._tail = ringing[samples:]
        return ringing[:samples]


def _acceleration_g(velocity: float, speed_rpm: float) -> float:
    """Peak in g of a sinusoid at shaft speed whose velocity is `velocity` mm/s rms."""
    return math.sqrt(2) * velocity / 1000 * 2 * math.pi * speed_rpm / 60 / GRAVITY


class Lag:
    """A value that follows its target like an oil tank its heater: first order, time constant `seconds`.

    >>> tank = Lag(50.0, seconds=10.0)
    >>> round(tank.step(10.0, target=100.0), 2)
    81.61
    """

    def __init__(self, value: float, seconds: float) -> None:
        self.value, self.seconds = value, seconds

    def step(self, dt: float, target: float) -> float:
        self.value = target + (self.value - target) * math.exp(-dt / self.seconds)
        return self.value
