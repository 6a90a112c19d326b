"""Lists of tags as spreadsheets write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config.tags_csv import CsvProblem, CsvTag, read_tags

OPTIONS = ("at", "as", "unit", "range", "deadband", "topic")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tags.csv"


def read(file: Path, text: str) -> tuple[list[CsvTag], list[CsvProblem]]:
    file.write_bytes(text.encode("utf-8"))
    return read_tags(file, file.read_bytes(), OPTIONS)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["plain", "byte order mark"])
def test_line_ends_and_byte_order_marks_of_every_program(file: Path, start: str, end: str) -> None:
    tags, problems = read(file, start + end.join(["name,at,unit", "oil,40011,°C", "", "flow,40013,"]))
    assert problems == []
    assert [(tag.name, tag.options, tag.at.line) for tag in tags] == [
        ("oil", {"at": "40011", "unit": "°C"}, 2),
        ("flow", {"at": "40013"}, 4),
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ('oil,"[-20, 150]",0.5', {"range": ["-20", "150"], "deadband": "0.5"}),
        ("oil,-20..150,", {"range": ["-20", "150"]}),
        ("oil,-20.5 .. 1.5e2,", {"range": ["-20.5", "1.5e2"]}),
        ("oil,high,", {"range": "high"}),
    ],
)
def test_ranges_with_commas_between(file: Path, row: str, expected: dict[str, object]) -> None:
    tags, problems = read(file, f"name,range,deadband\n{row}\n")
    assert (problems, tags[0].options) == ([], expected)


def test_semicolons_mean_decimal_commas(file: Path) -> None:
    tags, problems = read(file, "name;range;deadband;topic\noil;-20,5..150,25;0,5;a,b\n")
    assert problems == []
    assert tags[0].options == {"range": ["-20.5", "150.25"], "deadband": "0.5", "topic": "a,b"}


def test_a_cell_knows_its_column(file: Path) -> None:
    tags, _ = read(file, 'name,at,topic,unit\noil, 40011 ,"a,b",bar\n')
    assert tags[0].at.columns == {"name": 1, "at": 6, "topic": 14, "unit": 19}


def test_an_empty_file_lacks_its_header(file: Path) -> None:
    tags, problems = read(file, "")
    assert tags == []
    assert [problem.message for problem in problems] == ["the first line must be a header with a column 'name'"]


def test_a_quote_that_is_never_closed_swallows_no_error(file: Path) -> None:
    tags, problems = read(file, 'name,unit\noil,"bar\nflow,l\n')
    assert len(tags) == 1
    assert problems == []
    assert tags[0].options["unit"] == "bar\nflow,l"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=200))
def test_any_text_gives_tags_or_problems(file: Path, text: str) -> None:
    tags, problems = read(file, "name,at\n" + text)
    lines = text.count("\n") + text.count("\r") + 2
    assert all(1 <= tag.at.line <= lines for tag in tags)
    assert all(1 <= problem.at.line <= lines for problem in problems)
