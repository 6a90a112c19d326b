"""The quick yes and the validator: whatever the first takes, the second takes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import fastjsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.events.catalogue import SHIPPED
from gateway.events.quick import quick

CONTRACTS = sorted(SHIPPED.contracts())
_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=300), st.just("warning"), st.just("inc-aaaaaaaaaaaaaaaa")
)
_VALUES = st.recursive(_LEAVES, lambda some: st.lists(some, max_size=60) | st.dictionaries(st.text(max_size=8), some, max_size=4))


def validator(schema: dict[str, Any]) -> Callable[[Any], bool]:
    check = fastjsonschema.compile(schema)

    def takes(data: Any) -> bool:
        try:
            check(data)
        except fastjsonschema.JsonSchemaValueException:
            return False
        return True

    return takes


@cache
def checks(contract: str) -> tuple[Callable[[Any], bool], Callable[[Any], bool]]:
    schema = json.loads((SHIPPED.folder / contract / "1.0.schema.json").read_text(encoding="utf-8"))
    return quick(schema), validator(schema)


@cache
def example(contract: str) -> dict[str, Any]:
    first = min((SHIPPED.folder / contract / "1.0.valid").iterdir(), key=lambda file: file.name)
    found: dict[str, Any] = json.loads(first.read_text(encoding="utf-8"))
    return found


@given(st.data())
def test_what_is_taken_quickly_the_contract_takes(data: st.DataObject) -> None:
    contract = data.draw(st.sampled_from(CONTRACTS))
    fits, takes = checks(contract)
    names = st.sampled_from([*example(contract), "colour"])
    changed = example(contract) | data.draw(st.dictionaries(names, _VALUES, max_size=3))
    for gone in data.draw(st.lists(names, max_size=1)):
        changed.pop(gone, None)
    assert takes(changed) or not fits(changed)


@pytest.mark.parametrize("state", ["raised", "updated", "cleared"])
def test_an_incident_as_it_is_needs_no_validator(incident_data: dict[str, Any], state: str) -> None:
    fits, takes = checks("incident")
    told = incident_data | {"state": state, "score": math.pi, "explanation": {"limit": 70.0}, "evidence": {"readings": {"tags": {}}}}
    assert fits(told)
    assert takes(told)
    assert fits(told | {"score": None})


@pytest.mark.parametrize(
    "changed",
    [
        {"incident": "inc-aaaaaaaaaaaaaaaa\n"},
        {"machine": ""},
        {"title": "x" * 256},
        {"score": True},
        {"occurrences": 0},
        {"tags": ["t"] * 51},
        {"tags": ["t" * 64]},
        {"evidence": []},
        {"asset": None},
        {"colour": "red"},
    ],
)
def test_what_the_contract_refuses_gets_no_quick_yes(incident_data: dict[str, Any], changed: dict[str, Any]) -> None:
    fits, takes = checks("incident")
    assert not takes(incident_data | changed)
    assert not fits(incident_data | changed)


@pytest.mark.parametrize(
    "told",
    [
        {"type": "string", "format": "date-time"},
        {"type": "string", "pattern": "^a$|^b"},
        {"type": ["string", "integer"]},
        {"type": "object", "properties": {}},
        {"type": "string", "enum": ["a"], "maxLength": 3},
    ],
)
def test_a_keyword_it_does_not_know_is_left_to_the_validator(told: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"name": told}, "additionalProperties": False}
    assert not quick(schema)({"name": "a"})
