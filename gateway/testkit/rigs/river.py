"""A model over three tags of a press that move together, until one of them leaves the others: half-space trees, or what is given."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gateway import registry
from gateway.contract import Detector, Frame, Item
from gateway.testkit.contexts import detector_context

_START_NS = 1_800_000_000 * 10**9
_ROWS = 320
_TREES = {"model": "anomaly.HalfSpaceTrees", "parameters": {"n_trees": 6, "height": 5, "window_size": 50, "seed": 42}}
_OPTIONS = {
    "on": ["press-07/*"],
    "warm_up_rows": 200,
    "remember": 200,
    "false_alarms_per_week": 100,
}


class Rig:
    """One row a second."""

    machines = ("press-07",)
    tag_names = ("oil_temperature", "oil_pressure", "motor_current")
    exempt: ClassVar[dict[str, str]] = {}
    model: ClassVar[dict[str, Any]] = _TREES

    def detector(self) -> Detector:
        plugin = registry.detector("river")
        context = detector_context(plugin, [f"press-07/{name}" for name in self.tag_names])
        return plugin.build(plugin.options.model_validate({**_OPTIONS, **self.model}), context)

    def calm(self) -> list[Item]:
        return _items(_normal(_ROWS))

    def faulty(self) -> list[Item]:
        """The pressure is lost for a minute, and comes back."""
        x = _normal(_ROWS)
        x[_ROWS - 100 : _ROWS - 40, 1] -= 60.0
        return _items(x)

    def damaged(self) -> list[Item]:
        x = _normal(150)
        x[::7, 1] = np.nan
        x[50, 0] = np.inf
        items = _items(x)
        return [*items[:20], items[3], items[2], *items[20:]]


def _normal(n: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    rng, t = np.random.default_rng(7), np.arange(n)
    load = np.sin(t / 3)
    return np.column_stack([50 + 3 * load, 200 + 5 * load, 12 + load]) + rng.normal(0, [0.5, 1.0, 0.2], (n, 3))


def _items(x: np.ndarray[Any, np.dtype[np.float64]], together: int = 10) -> list[Item]:
    t_ns = _START_NS + np.arange(len(x), dtype=np.int64) * 10**9
    tags = np.arange(3, dtype=np.int32)
    return [
        Frame(machine="press-07", names=Rig.tag_names, tags=tags, t_ns=t_ns[i : i + together], x=x[i : i + together])  # type: ignore[misc]
        for i in range(0, len(x), together)
    ]
