"""The gate: within a major, whoever reads by an older minor can read everything made by a newer one.

Producers are closed, consumers are open: the older contract is opened before the newer is held against it. What is
sent to us goes both ways. jsoncompat reads 2020-12; our keywords mean the same there. It is blind for patterns and
formats, so these must not change at all.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import jsoncompat
import pytest

from gateway.events.catalogue import RECEIVED, SHIPPED, Catalogue, Version

Schema = dict[str, Any]
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_BLIND = ("pattern", "format")


def opened(node: Any) -> Any:
    """As a consumer reads it: properties it does not know are ignored."""
    if isinstance(node, dict):
        return {key: opened(value) for key, value in node.items() if key != "additionalProperties" or value is not False}
    return [opened(value) for value in node] if isinstance(node, list) else node


def reads(reader: Schema, writer: Schema) -> bool:
    """Everything `writer` allows, an open reader of `reader` takes."""
    mine, theirs = ({**schema, "$schema": _DIALECT} for schema in (opened(reader), writer))
    return jsoncompat.check_compat(json.dumps(mine), json.dumps(theirs), "serializer") and not set(blind(reader)) ^ shared(reader, writer)


def blind(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _BLIND and isinstance(value, str):
                yield f"{path}/{key}", value
            yield from blind(value, f"{path}/{key}")


def shared(reader: Schema, writer: Schema) -> set[tuple[str, str]]:
    """Patterns of the reader that the writer keeps, or whose property the writer has no more."""
    kept = set(blind(writer))
    return {(path, value) for path, value in blind(reader) if (path, value) in kept or not there(writer, path.rpartition("/")[0])}


def there(node: Any, path: str) -> bool:
    for key in path.split("/")[1:]:
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True


def compatible(name: str, old: Schema, new: Schema) -> bool:
    return reads(old, new) and (not name.startswith(f"{RECEIVED}.") or reads(new, old))


def broken(catalogue: Catalogue) -> list[str]:
    """Every pair of minors of one major that does not fit; transitive, not only neighbours."""
    found = []
    for name, versions in catalogue.contracts().items():
        for old, new in combinations(versions, 2):
            schemas = [json.loads(catalogue.file(name, version).read_text(encoding="utf-8")) for version in (old, new)]
            if old.major == new.major and not compatible(name, *schemas):
                found.append(f"{name} {old} -> {new}")
    return found


def test_no_minor_breaks_readers_of_the_ones_before() -> None:
    assert broken(SHIPPED) == []


CHANGES: dict[str, tuple[Callable[[Schema], Any], bool]] = {
    "nothing": (lambda s: None, True),
    "a property is added": (lambda s: s["properties"].update(shift={"type": "string"}), True),
    "a required property is added": (lambda s: (s["properties"].update(shift={"type": "string"}), s["required"].append("shift")), True),
    "an optional property is dropped": (lambda s: s["properties"].pop("evidence"), True),
    "an optional property becomes required": (lambda s: s["required"].append("asset"), True),
    "a text becomes shorter": (lambda s: s["properties"]["title"].update(maxLength=200), True),
    "a word less": (lambda s: s["properties"]["severity"]["enum"].pop(), True),
    "a list becomes shorter": (lambda s: s["properties"]["tags"].update(maxItems=10), True),
    "a required property is dropped": (lambda s: (s["properties"].pop("condition"), s["required"].remove("condition")), False),
    "a required property becomes optional": (lambda s: s["required"].remove("condition"), False),
    "another type": (lambda s: s["properties"].update(score={"type": "string"}), False),
    "null becomes possible": (lambda s: s["properties"].update(title={"type": ["string", "null"]}), False),
    "one more word": (lambda s: s["properties"]["severity"]["enum"].append("fatal"), False),
    "a text becomes longer": (lambda s: s["properties"]["title"].update(maxLength=256), False),
    "a text loses its end": (lambda s: s["properties"]["title"].pop("maxLength"), False),
    "a list becomes longer": (lambda s: s["properties"]["tags"].update(maxItems=51), False),
    "an item becomes longer": (lambda s: s["properties"]["tags"]["items"].update(maxLength=64), False),
    "a number begins lower": (lambda s: s["properties"]["occurrences"].update(minimum=0), False),
    "another pattern": (lambda s: s["properties"]["incident"].update(pattern="^case-"), False),
    "no pattern": (lambda s: s["properties"]["incident"].pop("pattern"), False),
    "renamed": (lambda s: s["properties"].update(name=s["properties"].pop("machine")), False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_gate_knows_a_change_that_breaks_from_one_that_does_not(change: str) -> None:
    mutate, fine = CHANGES[change]
    old = json.loads(SHIPPED.file("incident", Version(1, 0)).read_text(encoding="utf-8"))
    new = copy.deepcopy(old)
    mutate(new)
    assert compatible("incident", old, new) is fine


NESTED: dict[str, tuple[Callable[[Schema], Any], bool]] = {
    "a property is added": (lambda lost: lost["properties"].update(labels={"type": "integer"}), True),
    "a required property is dropped": (lambda lost: lost["required"].remove("events"), False),
    "another type": (lambda lost: lost["properties"]["events"].update(type="string"), False),
}


@pytest.mark.parametrize("change", NESTED)
def test_the_gate_looks_into_nested_shapes(change: str) -> None:
    mutate, fine = NESTED[change]
    old = json.loads(SHIPPED.file("gateway.outbox_salvaged", Version(1, 0)).read_text(encoding="utf-8"))
    new = copy.deepcopy(old)
    mutate(new["properties"]["lost"])
    assert compatible("gateway.outbox_salvaged", old, new) is fine


RECEIVING: dict[str, tuple[Callable[[Schema], Any], bool]] = {
    "an optional property is added": (lambda s: s["properties"].update(cost={"type": "number"}), True),
    "a required property is added": (lambda s: (s["properties"].update(cost={"type": "number"}), s["required"].append("cost")), False),
    "one more word": (lambda s: s["properties"]["verdict"]["enum"].append("sabotage"), False),
    "a word less": (lambda s: s["properties"]["verdict"]["enum"].pop(), False),
    "a text becomes shorter": (lambda s: s["properties"]["comment"].update(maxLength=100), False),
}


@pytest.mark.parametrize("change", RECEIVING)
def test_what_is_sent_to_us_fits_both_ways(change: str) -> None:
    mutate, fine = RECEIVING[change]
    old = json.loads(SHIPPED.file("feedback.verdict", Version(1, 0)).read_text(encoding="utf-8"))
    new = copy.deepcopy(old)
    mutate(new)
    assert compatible("feedback.verdict", old, new) is fine


def test_a_break_across_two_minors_is_found_though_each_step_is_fine(tmp_path: Any) -> None:
    base = {"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    without = {**base, "properties": {"a": {"type": "string"}}}
    again = {**base, "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}
    for name in ("incident", "fact", "made.up"):
        (tmp_path / name).mkdir()
    for minor, schema in enumerate((base, without, again)):
        (tmp_path / "made.up" / f"1.{minor}.schema.json").write_text(json.dumps(schema), encoding="utf-8")
    (tmp_path / "made.up" / "2.0.schema.json").write_text(json.dumps({"type": "object"}), encoding="utf-8")
    assert broken(Catalogue(tmp_path)) == ["made.up 1.0 -> 1.2"]
