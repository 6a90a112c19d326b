"""A corrected copy: other data, a new id, the original as its cause; never a broken contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.contract import Event
from gateway.events.build import EventBuilder
from gateway.events.catalogue import ContractViolation
from gateway.events.correct import corrected

OfIncident = Callable[..., Event]
NOW = 1_900_000_000_000_000_000
REJECTION = EventBuilder("urn:lineside:acme:dresden:press-01").of_contract_rejected("t", "/a", "p", now_ns=1)


@pytest.fixture
def event(of_incident: OfIncident) -> Event:
    return replace(of_incident(tags=["vibration_x", "vibration_y"]), sequence=42)


def data(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(event.data)
    return found


def test_the_copy_differs_in_what_was_asked_for_and_nothing_else(event: Event) -> None:
    copy = corrected(event, {"data.asset": "02i5e0000000PUMP4", "data.explanation.line_hz": 107.5}, NOW)
    assert data(copy) == data(event) | {"asset": "02i5e0000000PUMP4", "explanation": {"line_hz": 107.5}}
    assert (copy.causationid, copy.recorded_ns, copy.sequence) == (event.id, NOW, 0)
    unchanged = {"id", "data", "causationid", "recorded_ns", "sequence"}
    assert {name: getattr(copy, name) for name in copy.__struct_fields__ if name not in unchanged} == {
        name: getattr(event, name) for name in event.__struct_fields__ if name not in unchanged
    }
    assert data(event)["asset"] == "02i5e0000000PUMP3", "the original stays"


def test_its_id_comes_from_the_original_and_the_changes(event: Event, of_incident: OfIncident) -> None:
    changes = {"data.asset": "A", "data.score": 1.0}
    copy = corrected(event, changes, NOW)
    assert copy.id.startswith("cor-")
    assert copy.id == corrected(event, dict(reversed(changes.items())), NOW + 1).id
    assert copy.id != corrected(event, {"data.asset": "B", "data.score": 1.0}, NOW).id
    assert copy.id != corrected(of_incident(number=2), changes, NOW).id


def test_a_copy_can_be_corrected_again(event: Event) -> None:
    once = corrected(event, {"data.asset": "A"}, NOW)
    twice = corrected(once, {"data.asset": "B"}, NOW)
    assert twice.causationid == once.id
    assert len({event.id, once.id, twice.id}) == 3


def test_lists_are_counted_from_zero_and_new_names_are_added(event: Event) -> None:
    copy = corrected(event, {"data.tags.1": "vibration_z", "data.explanation.by_hand": True, "data.reason": "severity"}, NOW)
    assert data(copy)["tags"] == ["vibration_x", "vibration_z"]
    assert data(copy)["explanation"]["by_hand"] is True


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"data.severity": "bad"}, "/severity"),
        ({"data.tags.0": 5}, "/tags/0"),
        ({"data.tags.2": "more"}, "/tags/2"),
        ({"data.tags.first": "more"}, "/tags/first"),
        ({"data.tags.-1": "more"}, "/tags/-1"),
        ({"data.tags.٠": "more"}, "/tags/٠"),
        ({"data.nothing.there": 1}, "/nothing"),
        ({"data.title.x": 1}, "/title/x"),
        ({"data.title": ""}, "/title"),
        ({"data.state": "cleared"}, "/state"),
        ({"data.colour": "red"}, ""),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(event: Event, changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ContractViolation) as caught:
        corrected(event, changes, NOW)
    assert caught.value.pointer == pointer


@pytest.mark.parametrize("path", ["data", "data.", "data..unit", "unit", "id", "", ".data.unit", "source.data.x"])
def test_only_the_data_can_be_changed(event: Event, path: str) -> None:
    with pytest.raises(ValueError, match="below data"):
        corrected(event, {path: "x"}, NOW)


def test_to_change_nothing_is_no_correction(event: Event) -> None:
    with pytest.raises(ValueError, match="nothing to change"):
        corrected(event, {}, NOW)


def test_a_property_is_taken_away_and_only_that(event: Event) -> None:
    copy = corrected(event, {"data.score": 2.0}, NOW, without=["data.asset", "data.explanation.line_hz"])
    wanted = data(event) | {"score": 2.0, "explanation": {}}
    del wanted["asset"]
    assert data(copy) == wanted
    assert copy.id != corrected(event, {"data.score": 2.0}, NOW).id
    assert copy.id == corrected(event, {"data.score": 2.0}, NOW, without=["data.explanation.line_hz", "data.asset"]).id
    assert data(corrected(event, {}, NOW, without=["data.asset"])) == {k: v for k, v in data(event).items() if k != "asset"}


@pytest.mark.parametrize(
    ("path", "pointer", "words"),
    [
        ("data.title", "", "title"),
        ("data.nothing", "/nothing", "no such property"),
        ("data.tags.0", "/tags/0", "no such property"),
        ("data.nothing.there", "/nothing", "no such place"),
        ("data.title.x", "/title/x", "no such property"),
    ],
)
def test_what_must_be_there_or_is_not_there_cannot_be_taken_away(event: Event, path: str, pointer: str, words: str) -> None:
    with pytest.raises(ContractViolation, match=words) as caught:
        corrected(event, {}, NOW, without=[path])
    assert caught.value.pointer == pointer


def test_what_is_set_cannot_be_taken_away_too(event: Event) -> None:
    with pytest.raises(ValueError, match="both"):
        corrected(event, {"data.asset": "A"}, NOW, without=["data.asset"])


def test_it_is_held_against_the_version_it_was_made_by(event: Event) -> None:
    unknown = replace(event, dataschema=event.dataschema.replace("1.0.json", "1.9.json"))
    with pytest.raises(ContractViolation, match=r"no contract 1\.9"):
        corrected(unknown, {"data.asset": "A"}, NOW)
    assert corrected(replace(event, dataschema=""), {"data.asset": "A"}, NOW).causationid == event.id


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)


@given(st.lists(st.text(st.characters(exclude_characters="."), min_size=1), min_size=1, max_size=4), json_values)
def test_whatever_is_asked_for_it_fits_or_is_refused(steps: list[str], value: Any) -> None:
    try:
        copy = corrected(REJECTION, {".".join(["data", *steps]): value}, NOW)
    except ContractViolation:
        return
    assert set(data(copy)) == {"title", "at", "type", "pointer", "problem"}
    assert len(steps) == 1
