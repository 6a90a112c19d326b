"""Paths, times and values: what they make of what senders send."""

from __future__ import annotations

from math import isnan
from typing import Any

import pytest

from drivers.mqtt.jsonpath import MISSING, steps, walk
from drivers.mqtt.times import to_ns
from drivers.mqtt.values import lenient, number, plain
from gateway.contract import GOOD, Quality

DOCUMENT = {"a": {"b": [1, {"odd name": 2}], "n": None}}
SECOND = 1_800_000_000


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", DOCUMENT),
        ("$.a.b[0]", 1),
        ("$.a.b[-1]['odd name']", 2),
        ('$["a"].n', None),
        ("$.a.b[2]", MISSING),
        ("$.a.b.c", MISSING),
        ("$.x", MISSING),
        ("$.a[0]", MISSING),
    ],
)
def test_path(path: str, found: Any) -> None:
    assert walk(DOCUMENT, steps(path)) is found or walk(DOCUMENT, steps(path)) == found


@pytest.mark.parametrize("path", ["a.b", "$.", "$..a", "$.a[*]", "$[a]", "$a"])
def test_path_that_is_none(path: str) -> None:
    with pytest.raises(ValueError, match=r"path|understood"):
        steps(path)


@pytest.mark.parametrize(
    ("raw", "unit", "seconds"),
    [
        (SECOND, None, SECOND),
        (SECOND + 0.25, None, SECOND + 0.25),
        (SECOND * 1_000, None, SECOND),
        (SECOND * 1_000_000, None, SECOND),
        (SECOND * 10**9, None, SECOND),
        (1_000, "ms", 1),
        (str(SECOND * 1_000), None, SECOND),
        ("2027-01-15T08:00:00Z", None, SECOND),
        ("2027-01-15T10:00:00.5+02:00", None, SECOND + 0.5),
        ("2027-01-15T08:00:00", None, SECOND),
    ],
)
def test_time(raw: Any, unit: Any, seconds: float) -> None:
    assert to_ns(raw, unit) == round(seconds * 10**9)


@pytest.mark.parametrize("raw", [None, True, "soon", "", float("nan"), float("inf"), [], MISSING])
def test_time_that_is_none(raw: Any) -> None:
    assert to_ns(raw) is None


def test_time_beyond_int64_is_cut_to_it() -> None:
    assert to_ns(10**40) == 2**63 - 1
    assert to_ns(1e300) == 2**63 - 1
    assert to_ns(10**400) == 2**63 - 1


@pytest.mark.parametrize(
    ("raw", "states", "value", "quality"),
    [
        (3, None, 3.0, GOOD),
        (False, None, 0.0, GOOD),
        ("RUN", {"RUN": 1.0}, 1.0, GOOD),
        ("JOG", {"RUN": 1.0}, None, Quality.BAD_FORMAT),
        ("3", None, None, Quality.BAD_TYPE),
        (None, None, None, Quality.BAD_TYPE),
        ([1], None, None, Quality.BAD_TYPE),
        (float("inf"), None, None, Quality.BAD_NOT_FINITE),
        (10**400, None, None, Quality.BAD_NOT_FINITE),
        (MISSING, None, None, Quality.BAD_FORMAT),
    ],
)
def test_number(raw: Any, states: Any, value: float | None, quality: int) -> None:
    got, told = number(raw, states)
    assert told == quality
    assert isnan(got) if value is None else got == value


@pytest.mark.parametrize(
    ("payload", "value", "quality"),
    [
        (b"21.5", 21.5, GOOD),
        (b" -3\n", -3.0, GOOD),
        (b"true", 1.0, GOOD),
        (b"1_000", None, Quality.BAD_TYPE),
        (b"hot", None, Quality.BAD_TYPE),
        (b"", None, Quality.BAD_FORMAT),
        (b"\xff\xfe", None, Quality.BAD_FORMAT),
        (b"NaN", None, Quality.BAD_NOT_FINITE),
        (b"-inf", None, Quality.BAD_NOT_FINITE),
    ],
)
def test_plain(payload: bytes, value: float | None, quality: int) -> None:
    got, told = plain(payload, None)
    assert told == quality
    assert isnan(got) if value is None else got == value


def test_lenient_reads_nan_and_refuses_the_rest() -> None:
    assert isnan(lenient(b'{"v": NaN}')["v"])
    assert lenient(b"{") is MISSING
    assert lenient(b"[" * 100_000) is MISSING
