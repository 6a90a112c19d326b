"""Options: ids are levels of a topic, parts of a metric fit together, names are filled in; what they cost."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from drivers.sparkplug import plugin
from drivers.sparkplug.config import Place, SparkplugOptions, SparkplugTag, place
from gateway.contract import ConfigError, Tag
from gateway.testkit.contexts import source_context


def source(**options: Any) -> SparkplugOptions:
    return SparkplugOptions.model_validate({"sparkplug": "mqtt://h"} | options)


@pytest.mark.parametrize(
    "bad", [{"group": "a/b"}, {"node": "+"}, {"device": "#"}, {"host_id": "{tag}"}, {"group": "{line}"}, {"qos": 2}, {"node": ""}]
)
def test_source_options_that_cannot_work(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        source(**bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"row": 1},
        {"column": "c", "element": 1},
        {"kind": "waveform"},
        {"rate_hz": 5},
        {"kind": "waveform", "rate_hz": 5, "column": "c"},
        {"device": "a/b"},
        {"metric": "{line}"},
        {"metric": ""},
    ],
)
def test_tag_options_that_cannot_work(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SparkplugTag.model_validate(bad)


def test_a_tag_needs_a_group_and_a_node_here_or_there() -> None:
    with pytest.raises(ValidationError, match="a tag needs a node; or write one for all tags at the source"):
        SparkplugTag.model_validate({"group": "g"}, context={"source": source()})
    SparkplugTag.model_validate({}, context={"source": source(group="g", node="n")})
    with pytest.raises(ConfigError, match="no group and node"):
        plugin.build(source(), source_context(plugin, {"t": {}}))


@pytest.mark.parametrize(
    ("options", "own", "expected"),
    [
        ({}, {}, Place("g", "n", "", "t")),
        ({"device": "{machine}", "metric": "Line/{tag}"}, {}, Place("g", "n", "m", "Line/t")),
        ({"device": "d"}, {"device": "", "metric": "A"}, Place("g", "n", "", "A")),
        ({"device": "d"}, {"group": "h", "node": "{tag}", "device": "e"}, Place("h", "t", "e", "t")),
    ],
)
def test_where_a_tag_is(options: dict[str, Any], own: dict[str, Any], expected: Place) -> None:
    assert place(Tag(0, "m", "t", SparkplugTag.model_validate(own)), source(group="g", node="n", **options)) == expected


def test_plan_says_what_decides() -> None:
    tags = [Tag(0, "m", "t", SparkplugTag()), Tag(1, "m", "u", SparkplugTag(node="o"))]
    assert plugin.plan is not None
    load = plugin.plan(source(group="g", node="n"), tags)
    assert (load.readings, load.requests) == (0.0, 0.0)
    assert load.notes[0].startswith("how often 2 metrics of 2 edge nodes come")
    assert "every 30 s and node" in load.notes[1]
