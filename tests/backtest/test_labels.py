"""Labelled windows in the forms people have them."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.backtest.labels import Window, read_labels
from gateway.contract import ConfigError

BERLIN = ZoneInfo("Europe/Berlin")
FOUR_UTC = 1_404_187_200_000_000_000
HOUR = 3_600_000_000_000
PAIR = '["2014-07-01 06:00:00.000000", "2014-07-01T07:00:00+02:00"]'
TAGS = ["press-07/temperature", "press-08/load"]


def labels(folder: Path, text: str, name: str = "labels.json") -> list[Window]:
    (folder / name).write_text(text)
    return read_labels(folder / name, BERLIN, files={"data.csv": TAGS})


@pytest.mark.parametrize(
    ("text", "machine", "tag"),
    [
        (f"[{PAIR}]", "", ""),
        (f'{{"realKnownCause/data.csv": [{PAIR}], "other/file.csv": [{PAIR}]}}', "", ""),
        (f'{{"press-07": [{PAIR}], "press-09": [{PAIR}]}}', "press-07", ""),
        (f'{{"press-07/temperature": [{PAIR}]}}', "press-07", "temperature"),
    ],
)
def test_json(tmp_path: Path, text: str, machine: str, tag: str) -> None:
    assert labels(tmp_path, text) == [Window(FOUR_UTC, FOUR_UTC + HOUR, machine, tag)]


def test_a_file_of_several_has_windows_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "l.json").write_text(f'{{"group/load.csv": [{PAIR}]}}')
    files = {"load.csv": ["press-08/load"], "temperature.csv": ["press-07/temperature"]}
    assert read_labels(tmp_path / "l.json", BERLIN, files=files) == [Window(FOUR_UTC, FOUR_UTC + HOUR, "press-08", "load")]


def test_csv(tmp_path: Path) -> None:
    text = "machine,tag,from,to\npress-08,,2014-07-01 07:00,2014-07-01 08:00\npress-07,temperature,2014-07-01T04:00Z,2014-07-01T05:00Z\n"
    assert labels(tmp_path, text, "l.csv") == [
        Window(FOUR_UTC, FOUR_UTC + HOUR, "press-07", "temperature"),
        Window(FOUR_UTC + HOUR, FOUR_UTC + 2 * HOUR, "press-08"),
    ]


def test_a_window_of_a_machine_concerns_all_its_tags() -> None:
    assert Window(0, 1, "press-07").concerns("press-07", ["temperature"])
    assert Window(0, 1, "press-07", "temperature").concerns("press-07", [])
    assert not Window(0, 1, "press-07", "temperature").concerns("press-07", ["load"])
    assert not Window(0, 1, "press-07").concerns("press-08", ["load"])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("l.json", "{", "no JSON"),
        ("l.json", "7", "neither a list"),
        ("l.json", '[["2014-07-01", "2014-06-01"]]', "ends before it begins"),
        ("l.json", '[["2014-07-01"]]', "is no window"),
        ("l.json", '[["soon", "2014-07-01"]]', "'soon' is no time"),
        ("l.json", '{"press-09": [["2014-07-01", "2014-07-02"]]}', "no window is of what is recorded"),
        ("l.csv", "machine,begin\n", "no column 'from'"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        labels(tmp_path, text, name)
