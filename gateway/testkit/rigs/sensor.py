"""Three tags of one press: one that is stuck for a while, one that is bad, one that is well."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gateway import registry
from gateway.contract import BAD, Batch, Detector, Item, Quality
from gateway.testkit.contexts import detector_context

_START_NS = 1_800_000_000 * 10**9
_ROWS = 270
_OPTIONS = {"on": ["press-07/*"], "window": "20s", "warm_up": "100s", "warm_up_readings": 100, "memory": "1h"}


class Rig:
    """All once a second."""

    machines = ("press-07",)
    tag_names = ("oil_temperature", "oil_pressure", "mould_height")
    exempt: ClassVar[dict[str, str]] = {}

    def detector(self) -> Detector:
        plugin = registry.detector("sensor")
        context = detector_context(plugin, [f"press-07/{name}" for name in self.tag_names])
        return plugin.build(plugin.options.model_validate(_OPTIONS), context)

    def calm(self) -> list[Item]:
        return _items(_normal(_ROWS))

    def faulty(self) -> list[Item]:
        """A temperature that stands still for 70 s, a pressure that is not finite for 30 s and then missing for 66 s."""
        x = _normal(_ROWS)
        x[105:175, 0] = x[105, 0]
        quality = np.zeros(x.shape, dtype=np.uint8)
        quality[115:145, 1] = Quality.BAD_NOT_FINITE
        x[115:145, 1] = np.nan
        return _items(x, quality, without=range(175, 241))

    def damaged(self) -> list[Item]:
        items = _items(_normal(100))
        hole = Batch.of([0, 1, 2], [_START_NS + 50 * 10**9] * 3, [np.nan, np.nan, 1e301], [BAD, Quality.BAD_TIME, 0])
        return [items[0], items[2], items[2], items[1], Batch.of([], [], []), hole, *items[3:40], items[3], *items[60:]]


def _normal(n: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return 55 + np.random.default_rng(5).normal(0, 0.5, (n, 3))


def _items(x: np.ndarray[Any, np.dtype[np.float64]], quality: Any = None, without: range = range(0)) -> list[Item]:
    """Without the pressure in some rows."""
    q = np.zeros(x.shape, dtype=np.uint8) if quality is None else quality
    return [
        Batch.of(tags, [_START_NS + second * 10**9] * len(tags), x[second, tags], q[second, tags])
        for second in range(len(x))
        for tags in [[0, 2] if second in without else [0, 1, 2]]
    ]
