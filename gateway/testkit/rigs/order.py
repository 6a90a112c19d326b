"""Rig of `order`: an MES that tells the steps of orders."""

from __future__ import annotations

from typing import Any

from gateway import registry
from gateway.contract import Detector, Item, Json, Record
from gateway.testkit.contexts import detector_context

SOURCE = "mes/order_step"
START_NS = 1_800_000_000_000_000_000
MINUTE_NS = 60_000_000_000


def step(minute: float, order: Json, name: Json, **more: Json) -> Record:
    """The record of one step, some minutes after the start."""
    return Record(source=SOURCE, t_ns=START_NS + int(minute * MINUTE_NS), fields={"order": order, "step": name, **more})


def detector(**options: Any) -> Detector:
    """An order detector; by default an order is late after two hours and done when finished."""
    plugin = registry.detector("order")
    chosen = plugin.options.model_validate({"on": SOURCE, "late_after": "2h", "final": ["finished"], **options})
    return plugin.build(chosen, detector_context(plugin, [], records=[SOURCE]))


class Rig:
    """See `gateway.testkit.rigs.DetectorRig`."""

    machines = ("mes",)
    tag_names = ()
    exempt = {"calm_input_is_silent": "each record is a milestone, and told"}  # noqa: RUF012

    def detector(self) -> Detector:
        return detector(max_orders=8)

    def calm(self) -> list[Item]:
        return [step(i, 100 + i % 4, "finished") for i in range(12)]

    def faulty(self) -> list[Item]:
        """Three orders; A-3 is never finished."""
        steps = ("released", "milling", "washing", "finished")
        shop: list[Item] = [step(10 * i + k, f"A-{k}", name) for i, name in enumerate(steps) for k in (1, 2, 3)]
        return [*shop[:-1], step(60, 4711, "released")]

    def damaged(self) -> list[Item]:
        return [
            step(1, "B-1", "released"),
            step(1, "B-1", "released"),
            step(5, "B-1", "milling"),
            step(3, "B-1", "sawing"),
            step(6, None, "milling"),
            step(7, "B-2", None),
            step(8, {"no": 1}, "milling"),
            step(9, True, ["milling"]),
            step(10, "x" * 101, "milling"),
            step(11, "B\x00", "milling"),
            step(12, "  ", "milling"),
            step(13, "Ö 17/3 (b)", "Fräsen"),
            Record(source=SOURCE, t_ns=START_NS, fields={}),
            Record(source="mes/other", t_ns=START_NS, fields={"order": "B-3", "step": "milling"}),
        ]
