"""Limits on two tags: a temperature that drifts too high, a pressure that is lost and comes back."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from gateway import registry
from gateway.contract import Batch, Detector, Item
from gateway.testkit.contexts import detector_context

_START_NS = 1_800_000_000 * 10**9
_OPTIONS = {"on": ["press-07/*"], "high": 70, "high_high": 85, "low": 20, "rate": 30, "hysteresis": 2}


class Rig:
    """Both tags once a second."""

    machines = ("press-07",)
    tag_names = ("oil_temperature", "oil_pressure")
    exempt: ClassVar[dict[str, str]] = {}

    def detector(self) -> Detector:
        plugin = registry.detector("limit")
        context = detector_context(plugin, [f"press-07/{name}" for name in self.tag_names])
        return plugin.build(plugin.options.model_validate(_OPTIONS), context)

    def calm(self) -> list[Item]:
        n = np.arange(120)
        return _items(50 + 5 * np.sin(n / 9), np.full(120, 48.0))

    def faulty(self) -> list[Item]:
        """The temperature climbs through both limits and falls back; the pressure drops at once and recovers."""
        n = np.arange(120)
        temperature = 55 + 35 * np.sin(np.pi * n / 120) + 0.5 * np.sin(n)
        pressure = np.where((n > 30) & (n < 60), 5.0, 48.0)
        return _items(temperature, pressure)

    def damaged(self) -> list[Item]:
        items = self.calm()
        return [items[0], items[2], items[2], items[1], Batch.of([], [], []), *items[5:20], items[3], *items[40:60]]


def _items(temperature: np.ndarray[tuple[int], np.dtype[np.float64]], pressure: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[Item]:
    return [
        Batch.of([0, 1], [_START_NS + second * 10**9] * 2, [temperature[second], pressure[second]]) for second in range(len(temperature))
    ]
