"""CSV as spreadsheets and MES really write it."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.rows.row import Refused, Row, Unreadable
from drivers.rows.table import table_rows


def rows(text: str, delimiter: str = "auto", needed: tuple[str, ...] = ()) -> list[Row | Refused]:
    return list(table_rows(io.StringIO(text, newline=""), delimiter, needed))


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n",
        "a;b\r\n1;x\r\n",
        "a\tb\n1\tx",
        "a|b\n1|x\n",
        "sep=;\r\na;b\r\n1;x\r\n",
        '"a";"b"\n"1";"x"\n',
        "\n;;\na;b\n1;x\n\n;\n",
        "a;b;\n1;x;\n",
        "a;b;\n1;x\n",
        " a , b \n1,x\n",
    ],
)
def test_whatever_it_is_written_with_it_says_the_same(text: str) -> None:
    (row,) = rows(text)
    assert isinstance(row, Row)
    assert row.fields == {"a": "1", "b": "x"}


def test_a_comma_in_a_name_does_not_make_it_the_delimiter() -> None:
    (row,) = rows('"a,b,c";d\n1;2\n')
    assert isinstance(row, Row)
    assert row.fields == {"a,b,c": "1", "d": "2"}


def test_a_line_of_another_width_is_refused_alone_and_named() -> None:
    got = rows("a,b\n1,2\n3\n4,5,6\n7,8\n")
    assert [each.where for each in got] == ["line 2", "line 3", "line 4", "line 5"]
    assert [str(each) for each in got if isinstance(each, Refused)] == [
        "line 3: 1 cells, the header has 2",
        "line 4: 3 cells, the header has 2",
    ]


def test_a_row_with_nul_bytes_is_refused_alone_and_says_what_they_come_from() -> None:
    got = rows("a,b\n1\0,2\n3,4\n" + "\0" * 100)
    assert [type(each) for each in got] == [Refused, Row, Refused]
    assert [str(each).split(",")[0] for each in got[::2]] == [f"line {n}: NUL bytes instead of text" for n in (2, 4)]


def test_a_cell_over_two_lines_keeps_the_count_of_lines() -> None:
    got = rows('sep=,\na,b\n"1\n2",x\n3\n')
    assert [each.where for each in got] == ["line 3", "line 5"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1: is empty"),
        ("a,a\n1,2\n", "line 1: two columns are named 'a'"),
        ("a,b\n1,2\n", "line 1: no column 'c'; there are a, b"),
        ('c,b\n"1,2\n3,4\n', "no CSV: unexpected end of data"),
        ("c,b\n1," + "x" * 200_000 + "\n", "no CSV: field larger than field limit"),
    ],
)
def test_what_cannot_be_read_at_all_says_why(text: str, why: str) -> None:
    with pytest.raises(Unreadable, match="line") as caught:
        rows(text, needed=("c",) if "a,a" not in text else ())
    assert why in str(caught.value)


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8), min_size=2, max_size=4),
    st.sampled_from([",", ";", "tab", "|"]),
)
def test_what_python_writes_is_read_back(cells: list[str], delimiter: str) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter={"tab": "\t"}.get(delimiter, delimiter), quoting=csv.QUOTE_ALL)
    writer.writerow([f"c{i}" for i in range(len(cells))])
    writer.writerow(cells)
    got = rows(written.getvalue(), delimiter)
    assert got == ([] if not any(cell.strip() for cell in cells) else [Row("line 2", {f"c{i}": cell for i, cell in enumerate(cells)})])


def test_a_header_of_very_many_columns_is_refused_and_many_nameless_ones_cost_nothing() -> None:
    with pytest.raises(Unreadable, match="more than 2,000 columns"):
        rows(",".join(f"a{number}" for number in range(200_000)))
    found = rows("a" + "," * 1_999 + "\n" + "1\n" * 20_000, ",")
    assert len(found) == 20_000
    assert all(isinstance(row, Row) and row.fields == {"a": "1"} for row in found)
