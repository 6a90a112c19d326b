"""Durations, ranges and the rules every option follows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gateway.contract import Bearing, Duration, FrameWatchOptions, Range, SecretRef, TagOptions, WatchOptions

duration = TypeAdapter[float](Duration).validate_python


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400), ("1w", 604800), ("1h 30m", 5400), ("1.5h", 5400), ("0s", 0)],
)
def test_a_duration_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "s", "-5s", "5 min", "5M", "1y", "5s5", "1.2.3s", "1e3s", "11000d", "9" * 400 + "s", 30, 1.5, True, None, []]
)
def test_anything_else_is_refused(text: Any) -> None:
    with pytest.raises(ValidationError):
        duration(text)


@given(st.integers(0, 10**6), st.sampled_from(["ms", "s", "m"]), st.integers(0, 10**6), st.sampled_from(["ms", "s", "m"]))
def test_durations_add_up(a: int, unit_a: str, b: int, unit_b: str) -> None:
    assert duration(f"{a}{unit_a} {b}{unit_b}") == pytest.approx(duration(f"{a}{unit_a}") + duration(f"{b}{unit_b}"))


@given(st.text(max_size=20))
def test_no_text_is_a_negative_or_endless_duration(text: str) -> None:
    try:
        found = duration(text)
    except ValidationError:
        return
    assert 0 <= found <= 10 * 366 * 86400


@pytest.mark.parametrize("pair", [[1, 1], [2, 1], [1], [1, 2, 3], ["a", "b"], 5, [float("nan"), 1]])
def test_a_range_has_a_lower_and_an_upper_end(pair: Any) -> None:
    with pytest.raises(ValidationError):
        TagOptions(range=pair)


def test_a_range_may_be_text_from_a_spreadsheet() -> None:
    assert TypeAdapter[Any](Range).validate_python(["-20", "150"]) == (-20, 150)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_option_is_nan_or_infinite(value: float) -> None:
    for options in ({"scale": value}, {"offset": value}, {"deadband": value}, {"range": [0, value]}):
        with pytest.raises(ValidationError):
            TagOptions.model_validate(options)
    with pytest.raises(ValidationError):
        Bearing(designation="SKF 6205", speed=value)


def test_on_takes_one_or_a_list() -> None:
    assert WatchOptions.model_validate({"on": "a/*"}).on == ["a/*"]
    assert WatchOptions.model_validate({"on": ["a", "b"]}).on == ["a", "b"]
    with pytest.raises(ValidationError):
        WatchOptions.model_validate({"on": []})


def test_defaults_are_seconds() -> None:
    options = FrameWatchOptions.model_validate({"on": "a"})
    assert (options.every, options.valid_for, options.settle, options.hold) == (1, 60, 0, None)


def test_options_are_frozen_and_closed() -> None:
    options = TagOptions()
    with pytest.raises(ValidationError):
        options.unit = "bar"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        TagOptions.model_validate({"unti": "bar"})


@pytest.mark.parametrize("name", ["", "a b", "../etc/passwd", "a/b", "x" * 65])
def test_the_name_of_a_secret_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(ValidationError):
        SecretRef(secret=name)
