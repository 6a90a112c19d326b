"""Recorded files: times, columns, tags, and what is said of those that will not do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.backtest.columns import assign
from gateway.backtest.recording import Recording, find, read
from gateway.config import Settings
from gateway.contract import ConfigError

Recorded = Callable[..., Path]
Plant = Callable[..., Settings]
BERLIN = ZoneInfo("Europe/Berlin")
SIX = "2014-07-01 06:00:00"  # 04:00 UTC in Berlin
SIX_NS = 1_404_187_200_000_000_000


def paths(settings: Settings, data: Path, **given: str) -> dict[str, str]:
    return {column: tag.path for column, tag in assign(find(data), settings, given).items()}


def readings(data: Path, *wanted: str, time: str | None = None) -> Recording:
    return read(find(data, time), wanted, BERLIN)


def test_a_time_without_an_offset_is_the_plants(recorded: Recorded) -> None:
    data = recorded("timestamp,value", f"{SIX},1", "2014-07-01T04:05:00Z,2", "2014-07-01T06:10:00+02:00,3")
    batch = readings(data, "value").batch
    assert ((batch.t_ns - SIX_NS) // 1_000_000_000).tolist() == [0, 300, 600]
    assert batch.value.tolist() == [1, 2, 3]


def test_columns_are_tags_by_their_names(plant: Plant, recorded: Recorded) -> None:
    data = recorded("time,temperature,press-08.running,press-07/running,oil", f"{SIX},1,0,1,5")
    assert paths(plant(), data) == {
        "temperature": "press-07/temperature",
        "press-08.running": "press-08/running",
        "press-07/running": "press-07/running",
    }


def test_a_column_of_another_name_is_mapped(plant: Plant, recorded: Recorded) -> None:
    data = recorded("time,TT 4711,temperature", f"{SIX},1,2")
    assert paths(plant(), data, **{"TT 4711": "press-08/load"})["TT 4711"] == "press-08/load"


def test_the_only_column_is_the_only_tag_that_is_watched(plant: Plant, recorded: Recorded) -> None:
    assert paths(plant(), recorded("timestamp,value", f"{SIX},1")) == {"value": "press-07/temperature"}


def test_one_reading_a_line(plant: Plant, recorded: Recorded) -> None:
    data = recorded("time,tag,value", f"{SIX},press-07/temperature,1", f"{SIX},running,1", f"{SIX},load,3")
    tags = assign(find(data), plant(), {})
    batch = readings(data, *tags).of(tags)
    assert sorted(zip(batch.tag.tolist(), batch.value.tolist(), strict=True)) == [(0, 1.0), (2, 3.0)]


def test_a_folder_is_sorted_by_time_across_its_files(recorded: Recorded) -> None:
    recorded("time,value", "2014-07-01 06:00:00,1", "2014-07-01 06:02:00,3", name="d/temperature.csv")
    data = recorded("time,value", "2014-07-01 06:01:00,2", "2014-07-01 06:03:00,4", name="d/load.csv").parent
    recording = readings(data, "temperature", "load")
    assert recording.batch.value.tolist() == [1, 2, 3, 4]
    assert recording.batch.tag.tolist() == [0, 1, 0, 1]


def test_a_late_reading_stays_where_it_came_and_is_counted(recorded: Recorded) -> None:
    lines = [f"2014-07-01 06:{minute:02}:{second:02},{minute}" for minute in range(60) for second in (0, 30)]
    lines[50], lines[51] = lines[51], lines[50]
    recording = readings(recorded("time,value", *lines, "soon,1"), "value")
    assert (recording.back, recording.lost, len(recording.batch)) == (1, 1, 120)
    assert recording.batch.t_ns[50] > recording.batch.t_ns[51]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["moment,temperature", f"{SIX},1"], "no column with the time; there are moment, temperature; say which one it is with --time"),
        (["time;temperature", f"{SIX};1"], "separated by ';'"),
        (["time", SIX], "no column beside 'time'"),
        (["time,temperature"], "no readings"),
        (["time,temperature", f"{SIX},1", "2014-07-01 05:00:00,1", "2014-07-01 04:00:00,1"], "not in the order of their times"),
    ],
)
def test_a_file_that_will_not_do_is_told(recorded: Recorded, lines: list[str], said: str) -> None:
    data = recorded(*lines)
    with pytest.raises(ConfigError, match=said):
        readings(data, "temperature")


def test_an_empty_file_a_missing_one_and_a_folder_without_any(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ConfigError, match="is empty; its first line must name the columns"):
        find(tmp_path / "empty.csv")
    (tmp_path / "data.csv.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(ConfigError, match=r"a recording is a file that ends in \.csv"):
        find(tmp_path / "data.csv.gz")
    with pytest.raises(ConfigError, match="no such file or folder"):
        find(tmp_path / "nothing.csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=r"no file that ends in \.csv"):
        find(tmp_path / "folder")


@pytest.mark.parametrize(
    ("header", "given", "said"),
    [
        ("time,a,b", {}, "no column is named like a tag .*--map a=press-07/temperature"),
        ("time,temperature", {"temprature": "press-08/load"}, "no column 'temprature'; did you mean 'temperature'"),
        ("time,temperature", {"temperature": "press-07/temprature"}, "no tag 'press-07/temprature'; did you mean 'press-07/temperature'"),
        ("time,temperature,press-07/temperature", {}, "are both press-07/temperature"),
        ("time,running", {}, "no column is named like a tag|--map"),
    ],
)
def test_columns_that_cannot_be_assigned_are_told(plant: Plant, recorded: Recorded, header: str, given: dict[str, str], said: str) -> None:
    data = recorded(header, f"{SIX},1,1")
    settings = plant("{on: [press-07/temperature, press-08/load], high: 70}")
    with pytest.raises(ConfigError, match=said):
        assign(find(data), settings, given)
