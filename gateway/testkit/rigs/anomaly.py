"""The bank over two tags: one that gets a new level and spikes, one that does not move at all."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gateway import registry
from gateway.contract import BAD, Batch, Detector, Item
from gateway.testkit.contexts import detector_context

_START_NS = 1_800_000_000 * 10**9
_ROWS = 165
_OPTIONS = {"on": ["press-07/*"], "warm_up": "60s", "warm_up_readings": 100, "memory": "10m", "smooth": "5s", "accept_after": "1h"}


class Rig:
    """Both tags once a second."""

    machines = ("press-07",)
    tag_names = ("oil_temperature", "mould_height")
    exempt: ClassVar[dict[str, str]] = {}

    def detector(self) -> Detector:
        plugin = registry.detector("anomaly")
        context = detector_context(plugin, [f"press-07/{name}" for name in self.tag_names])
        return plugin.build(plugin.options.model_validate(_OPTIONS), context)

    def calm(self) -> list[Item]:
        return _items(_normal(_ROWS))

    def faulty(self) -> list[Item]:
        """A step of twelve standard deviations for half a minute, and a spike after it."""
        x = _normal(_ROWS)
        x[105:135] += 6.0
        x[150] -= 20.0
        return _items(x)

    def damaged(self) -> list[Item]:
        items = _items(_normal(100))
        hole = Batch.of([0, 1], [_START_NS + 50 * 10**9] * 2, [np.nan, np.inf], [BAD, 0])
        return [items[0], items[2], items[2], items[1], Batch.of([], [], []), hole, *items[3:40], items[3], *items[60:]]


def _normal(n: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return 55 + np.random.default_rng(5).normal(0, 0.5, n)


def _items(temperature: np.ndarray[Any, np.dtype[np.float64]]) -> list[Item]:
    return [Batch.of([0, 1], [_START_NS + second * 10**9] * 2, [value, 120.0]) for second, value in enumerate(temperature)]
