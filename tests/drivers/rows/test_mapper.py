"""From a row to readings and messages: times, numbers, which row is for whom."""

from __future__ import annotations

import math
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.rows.documents import document_rows, line_rows
from drivers.rows.mapper import Mapper, Taken
from drivers.rows.options import RowOptions, RowRecord, RowTag
from drivers.rows.places import steps, walk
from drivers.rows.row import Refused, Row, Unreadable
from drivers.rows.times import TimeReader
from drivers.rows.values import number
from gateway.contract import Batch, Quality, RecordSpec, Tag

NOW = 1_800_000_000_000_000_000


def take(fields: dict[str, Any], *, tags: dict[str, Any] | None = None, records: dict[str, Any] | None = None, **options: Any) -> Taken:
    made = [Tag(i, "m1", name, RowTag.model_validate(given)) for i, (name, given) in enumerate((tags or {}).items())]
    specs = [RecordSpec("m1", name, RowRecord.model_validate(given)) for name, given in (records or {}).items()]
    taken = Taken()
    Mapper(RowOptions.model_validate(options), made, specs).take(Row("line 2", fields), NOW, taken)
    return taken


def test_columns_and_paths_name_the_same_places() -> None:
    fields = {"Temp": "21,5", "press": {"load": 7}, "Zeit": "15.01.2027 09:00:00"}
    options = {"time": "Zeit", "time_format": "%d.%m.%Y %H:%M:%S", "timezone": "Europe/Berlin", "decimal": ","}
    taken = take(fields, tags={"temperature": {"value": "Temp"}, "load": {"value": "$.press.load"}, "other": {}}, **options)
    assert taken.readings == [(0, NOW, 21.5, 0), (1, NOW, 7.0, 0)]
    assert taken.refused == []


def test_a_date_and_a_time_of_day_are_one_time() -> None:
    taken = take({"d": "2027-01-15", "t": "08:00:00", "v": "1"}, tags={"v": {}}, time=["d", "t"])
    assert taken.readings == [(0, NOW, 1.0, 0)]


def test_without_a_configured_time_it_is_that_of_its_arrival() -> None:
    assert take({"v": 1}, tags={"v": {}}).readings == [(0, NOW, 1.0, 0)]


@pytest.mark.parametrize("at", [None, "", "yesterday", True, {"a": 1}])
def test_a_row_without_its_time_is_refused_whole(at: Any) -> None:
    taken = take({"v": 1, "w": 2, "at": at}, tags={"v": {"time": "at"}, "w": {}}, records={"all": {}})
    assert [str(each) for each in taken.refused] == ["line 2: no time in at"]
    assert (taken.readings, taken.records) == ([], [])


@pytest.mark.parametrize("options", [{}, {"time_unit": "ms"}, {"time_format": "%Y%m%d%H%M%S"}], ids=["plain", "unit", "digits"])
def test_a_number_of_four_hundred_digits_is_no_time(options: dict[str, Any]) -> None:
    """JSON has such numbers; no float does."""
    taken = take({"v": 1, "at": 10**400}, tags={"v": {}}, time="at", **options)
    assert [str(each) for each in taken.refused] == ["line 2: no time in at"]


def test_match_says_which_row_is_for_whom() -> None:
    records = {"step": {"match": {"$.type": ["step", "start"]}}, "test": {"match": {"type": "test", "line": 2}}}
    assert [r.source for r in take({"type": "start"}, records=records).records] == ["m1/step"]
    assert [r.source for r in take({"type": "test", "line": "2"}, records=records).records] == ["m1/test"]
    nobody = take({"type": "test", "line": 3}, records=records)
    assert [str(each) for each in nobody.refused] == ["line 2: no tag and no record takes it"]
    assert take({"type": "test", "line": 3}, records=records, unmatched="ignore").refused == []


def test_cells_of_a_message_stay_text_but_for_its_numbers() -> None:
    fields = {"order": "004711", "quantity": "12", "weight": "1,5", "note": ""}
    (record,) = take(fields, records={"step": {"numbers": ["quantity", "weight", "note"]}}, decimal=",").records
    assert record.fields == {"order": "004711", "quantity": 12, "weight": 1.5, "note": ""}
    bad = take({"quantity": "a dozen"}, records={"step": {"numbers": ["quantity"]}})
    assert [str(each) for each in bad.refused] == ["line 2: 'a dozen' in quantity is no number"]


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_an_empty_cell_is_no_reading(empty: str | None) -> None:
    assert take({"v": empty, "w": 1}, tags={"v": {}, "w": {}}).readings == [(1, NOW, 1.0, 0)]


@pytest.mark.parametrize(
    ("raw", "decimal", "expected"),
    [
        ("1.234,5", ",", Quality.BAD_FORMAT),
        ("12.5", ",", Quality.BAD_FORMAT),
        ("1,234", ".", Quality.BAD_FORMAT),
        ("RUN", ".", Quality.BAD_TYPE),
        ("1_000", ".", Quality.BAD_FORMAT),
        ("nan", ".", Quality.BAD_NOT_FINITE),
        (float("inf"), ".", Quality.BAD_NOT_FINITE),
        (10**400, ".", Quality.BAD_NOT_FINITE),
        ([1], ".", Quality.BAD_TYPE),
    ],
)
def test_what_is_no_number_is_bad_and_never_another_number(raw: Any, decimal: Any, expected: Quality) -> None:
    value, quality = number(raw, decimal, None)
    assert math.isnan(value)
    assert quality == expected


def test_readings_become_one_batch_before_the_messages() -> None:
    first, second = take({"v": 1}, tags={"v": {}}, records={"all": {}}).items()
    assert isinstance(first, Batch)
    assert (first.tag.tolist(), first.value.tolist()) == ([0], [1.0])
    assert second.source == "m1/all"  # type: ignore[union-attr]


def test_an_hour_that_comes_twice_is_the_first_of_both() -> None:
    read = TimeReader([("t",)], None, None, ZoneInfo("Europe/Berlin"))
    assert read({"t": "2027-10-31T02:30:00"}) == read({"t": "2027-10-31T02:30:00+02:00"})
    assert read({"t": "2027-01-15T09:00:00.123456789+01:00"}) == NOW + 123456789


@given(st.integers(-(2**62), 2**62))
def test_nanoseconds_are_kept_to_the_last(t_ns: int) -> None:
    assert TimeReader([("t",)], "ns", None, ZoneInfo("UTC"))({"t": t_ns}) == t_ns


@given(st.text(max_size=30))
def test_no_text_is_more_than_no_time(text: str) -> None:
    found = TimeReader([("t",)], None, None, ZoneInfo("Europe/Berlin"))({"t": text})
    assert found is None or abs(found) < 2**63


def test_documents_name_the_place_of_what_is_wrong() -> None:
    assert list(document_rows(b'{"items": [{"a": 1}, 2]}', ("items",))) == [Row("/items/0", {"a": 1}), Refused("/items/1", "no object")]
    with pytest.raises(Unreadable, match="/items: neither an object nor a list"):
        list(document_rows(b'{"items": 3}', ("items",)))
    with pytest.raises(Unreadable, match=r"no JSON: .*byte 5"):
        list(document_rows(b'{"a":x}'))
    with pytest.raises(Unreadable, match="nested too deeply"):
        list(document_rows(b"[" * 100_000))
    got = list(line_rows([b'{"a": 1}\n', b"\n", b"nonsense\n", b"[1]\n"]))
    assert [each.where for each in got] == ["line 1", "line 3", "line 4"]
    assert got[2] == Refused("line 4", "no object")


def test_paths_are_checked_when_they_are_written() -> None:
    assert walk({"a": [{"b c": 5}]}, steps("$.a[0]['b c']")) == 5
    for bad in ("$.a..b", "$[x]", " "):
        with pytest.raises(ValueError, match=r"understood|name"):
            steps(bad)
    with pytest.raises(ValidationError, match="no time zone"):
        RowOptions.model_validate({"timezone": "Mars/Olympus"})
    with pytest.raises(ValidationError, match="a row holds one value"):
        RowTag.model_validate({"kind": "waveform"})


@pytest.mark.parametrize(
    ("places", "unit", "as_text", "fields", "expected"),
    [
        ("t", None, "%Y%m%d%H%M%S", {"t": 20270115080000}, 1_800_000_000),
        ("t", None, "%Y%m%d%H%M%S", {"t": 20270115080000.0}, 1_800_000_000),
        ("t", None, "%d%m%Y", {"t": 1022027}, 1_801_440_000),
        ("dt", None, "%Y%m%d %H%M%S", {"d": 20270115, "t": 80000}, 1_800_000_000),
        ("dt", None, "%Y%m%d %H%M%S", {"d": 20270115, "t": 1205}, 1_799_971_925),
        ("dt", None, "%Y%m%d %H%M%S", {"d": "20270115", "t": "080000"}, 1_800_000_000),
        ("t", "s", "%Y%m%d%H%M%S", {"t": 1_800_000_000}, 1_800_000_000),
        ("t", "s", "%Y%m%d%H%M%S", {"t": "20270115080000"}, 1_800_000_000),
        ("t", None, "%d.%m.%Y", {"t": 1_800_000_000}, 1_800_000_000),
        ("t", None, "%Y%m%d%H%M%S", {"t": 1_800_000_000}, None),
        ("t", None, "%Y%m%d%H%M%S", {"t": 20270115080000.5}, None),
        ("t", None, "%Y%m%d%H%M%S", {"t": -20270115080000}, None),
        ("t", None, "%Y%m%d%H%M%S", {"t": True}, None),
        ("t", None, "%Y%m%d%H%M%S", {"t": 10**400}, None),
        ("dt", None, "%Y%m%d %H%M%S", {"d": 10**400, "t": 80000}, None),
        ("t", None, None, {"t": 10**400}, None),
        ("t", "s", None, {"t": "sNaN"}, None),
    ],
)
def test_a_number_is_read_by_a_format_of_digits_unless_it_has_a_unit(
    places: str,
    unit: Any,
    as_text: str | None,
    fields: dict[str, Any],
    expected: int | None,
) -> None:
    read = TimeReader([(place,) for place in places], unit, as_text, ZoneInfo("UTC"))
    assert read(fields) == (None if expected is None else expected * 10**9)


@pytest.mark.parametrize(
    ("format", "why"),
    [
        ("ms", "time_unit: ms"),
        ("%Q", "'Q' is a bad directive"),
        ("%s", "'s' is a bad directive"),
        ("%H:%M:%S", "reads no day"),
        ("%d.%m. %H:%M", "reads no day"),
        ("ISO", "reads no day"),
        ("%Y-%m-%d %I:%M", "%I needs %p"),
    ],
)
def test_a_format_that_reads_no_time_is_refused_before_anything_is_read(format: str, why: str) -> None:  # noqa: A002
    with pytest.raises(ValueError, match=why):
        RowOptions(time_format=format)
