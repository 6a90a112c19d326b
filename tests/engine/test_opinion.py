"""A watch of several machines: what it has an opinion on is asked of each by itself, so that a case it cannot end any more is closed."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import registry
from gateway.config.settings import WatchSettings
from gateway.contract import DetectorContext, Machine, Tag, TagOptions
from gateway.engine.opinion import Opinion

RIVER = {"model": "anomaly.HalfSpaceTrees"}


@pytest.mark.parametrize(
    ("kind", "options", "condition"),
    [
        ("anomaly", {}, "a_anomaly"),
        ("machine", {}, "machine_anomaly"),
        ("sensor", {}, "a_sensor_quiet"),
        ("limit", {"high": 70}, "a_high"),
        ("river", RIVER, "half_space_trees_anomaly"),
    ],
)
def test_a_tag_of_one_machine_that_is_of_another_kind_now(kind: str, options: dict[str, Any], condition: str) -> None:
    plugin = registry.detector(kind)

    def told(machine: str, of_kind: str) -> bool:
        made = plugin.options.model_validate({"on": "*/*", **options})
        tags = tuple(
            Tag(i, name, tag, TagOptions.model_validate({"kind": of_kind if name == "press-07" else "gauge"}))
            for i, (name, tag) in enumerate((name, tag) for name in ("press-07", "press-08") for tag in "ab")
        )
        context = DetectorContext(name="w", tags=tags, machines={name: Machine(name=name) for name in ("press-07", "press-08")})
        return Opinion(WatchSettings(name="w", plugin=plugin, options=made, tags=tags, records=()), context)(machine, condition)

    other = "waveform" if kind in ("river", "limit") else "state"
    assert told("press-07", "gauge")
    assert not told("press-07", other)
    assert told("press-08", other)
    assert not told("press-09", "gauge")
