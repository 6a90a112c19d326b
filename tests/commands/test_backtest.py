"""`lineside backtest` as a user types it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Lineside = Callable[..., Result]
Config = Callable[[str], str]
DAY = [f"2024-03-01 {hour:02}:{minute:02}:00,{80 if hour in (9, 20) else 20}" for hour in range(24) for minute in range(60)]


@pytest.fixture
def files(tmp_path: Path, config: Config) -> Path:
    config("state")
    (tmp_path / "day.csv").write_text("\n".join(["time,oil_temperature", *DAY]) + "\n")
    (tmp_path / "labels.json").write_text(
        '[["2024-03-01 08:30:00", "2024-03-01 10:00:00"], ["2024-03-01 12:00:00", "2024-03-01 13:00:00"]]'
    )
    return tmp_path


def test_figures_for_programs(lineside: Lineside, files: Path) -> None:
    result = lineside("backtest", "lineside.yaml", "day.csv", "--labels", "labels.json", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    [row] = found["watches"]
    assert (row["watch"], row["machine"], row["tag"], row["readings"]) == ("limit-1", "press-07", "oil_temperature", 1440)
    assert row["weeks"] == pytest.approx(1439 / 60 / 24 / 7)
    assert row["alarms_per_week"] == pytest.approx(2 / row["weeks"])
    assert (row["alarms"], row["windows_hit"], row["windows"], row["median_delay_seconds"]) == (2, 1, 2, 1800.0)
    assert [alarm["raised"] for alarm in found["alarms"]] == ["2024-03-01T09:00:00Z", "2024-03-01T20:00:00Z"]
    assert not (files / "state").exists()


def test_figures_for_people(lineside: Lineside, files: Path) -> None:
    lines = lineside("backtest", "lineside.yaml", "day.csv", "--labels", "labels.json").stdout.splitlines()
    assert re.split(r" {2,}", lines[0].strip())[-3:] == ["windows hit", "median delay", "false alarms/week"]
    assert re.split(r" {2,}", lines[1].strip())[:2] == ["limit-1", "press-07/oil_temperature"]
    assert "1/2  " in lines[1]
    assert "30 min" in lines[1]


def test_two_configurations_and_the_difference(lineside: Lineside, files: Path) -> None:
    (files / "other.yaml").write_text((files / "lineside.yaml").read_text().replace("high: 70", "high: 90"))
    arguments = ("backtest", "lineside.yaml", "day.csv", "--against", "other.yaml")
    found = json.loads(lineside(*arguments, "--json").stdout)
    assert [row["alarms"] for row in found["against"]["watches"]] == [0]
    assert [row["alarms"] for row in found["difference"]] == [2]
    assert "lineside.yaml less other.yaml" in lineside(*arguments).stdout


def test_a_report_stands_alone(lineside: Lineside, files: Path) -> None:
    assert lineside("backtest", "lineside.yaml", "day.csv", "--labels", "labels.json", "--report", "r.html").exit_code == 0
    page = (files / "r.html").read_text()
    assert page.count("<svg ") == 3  # the recording, and two alarms
    assert page.count("in a labelled window") == 1
    assert page.count("outside a labelled window") == 1
    assert not re.findall(r"(?:src|href)=|url\(|@import|<script", page)


def test_alarms_are_drawn_though_the_clock_was_set_back_to_before_the_recording(lineside: Lineside, files: Path) -> None:
    rows = ["time,oil_temperature", *(row.replace("03-01", "02-01") if row >= "2024-03-01 12" else row for row in DAY)]
    (files / "day.csv").write_text("\n".join(rows) + "\n")
    result = lineside("backtest", "lineside.yaml", "day.csv", "--report", "r.html", "--json")
    assert "a clock was set back meanwhile" in result.stderr
    assert [alarm["raised"] for alarm in json.loads(result.stdout)["alarms"]] == ["2024-03-01T09:00:00Z", "2024-02-01T20:00:00Z"]
    whole, *alarms = (files / "r.html").read_text().split("<svg ")[1:]
    assert whole.count('<rect class="alarm"') == 2
    assert [picture.count('<rect class="alarm"') for picture in alarms] == [1, 1]
    assert all("<path" in picture or "<polyline" in picture for picture in alarms)


def test_names_in_a_report_are_text(lineside: Lineside, files: Path) -> None:
    text = (files / "lineside.yaml").read_text().replace("as: float32", 'as: float32, unit: "<b>"')
    (files / "<i>.yaml").write_text(text)
    assert lineside("backtest", "<i>.yaml", "day.csv", "--report", "r.html").exit_code == 0
    page = (files / "r.html").read_text()
    assert "<b>" not in page
    assert "<i>.yaml" not in page


def test_a_watch_without_scores_is_told(lineside: Lineside, files: Path) -> None:
    result = lineside("backtest", "lineside.yaml", "day.csv", "--scores", "s.csv")
    assert result.exit_code == 2
    assert "no scores to write: limit-1" in result.stderr
    assert not (files / "s.csv").exists()


def test_what_is_wrong_is_one_line_and_says_what_to_do(lineside: Lineside, files: Path) -> None:
    (files / "two.csv").write_text("time,a,b\n2024-03-01 00:00:00,1,2\n")
    for arguments, said in (
        (("lineside.yaml", "nothing.csv"), "no such file or folder: nothing.csv"),
        (("nothing.yaml", "day.csv"), "there is no such file"),
        (("lineside.yaml", "two.csv"), "--map a=press-07/oil_temperature"),
        (("lineside.yaml", "day.csv", "--time", "when"), "no column 'when' with the time"),
        (("lineside.yaml", "day.csv", "--map", "a:b"), "write --map COLUMN=MACHINE/TAG"),
        (("lineside.yaml", "day.csv", "--labels", "nothing.json"), "nothing.json: No such file"),
        (("lineside.yaml", "day.csv", "--report", "no/where.html"), "no/where.html: No such file"),
    ):
        result = lineside("backtest", *arguments)
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.output
        assert said in result.stderr


def test_what_the_figures_do_not_say_is_told(lineside: Lineside, files: Path) -> None:
    text = (files / "lineside.yaml").read_text().replace("high: 70", "high: 70, only_when: running == 1")
    text = text.replace("tags: {oil_temperature", "tags: {running: {at: 10003}, oil_temperature")
    (files / "gated.yaml").write_text(text)
    (files / "odd.csv").write_text("\n".join(["time,oil_temperature", *DAY[:200], "soon,1", "2024-03-01 23:59:59,hot"]) + "\n")
    result = lineside("backtest", "gated.yaml", "odd.csv")
    assert result.exit_code == 0
    assert "1 line of the recording without a time: left out" in result.stderr
    assert "1 reading bad" in result.stderr
    assert "limit-1 looks only when 'running == 1', and press-07/running is not recorded" in result.stderr


def test_several_tags_of_a_machine_are_one_picture_with_their_names(lineside: Lineside, files: Path) -> None:
    text = (files / "lineside.yaml").read_text().replace("tags: {oil_temperature", "tags: {load: {at: 40021}, oil_temperature")
    text = text.replace(
        "limit: {on: press-07/oil_temperature, high: 70}", "river: {on: press-07/*, model: anomaly.HalfSpaceTrees, every: 1m}"
    )
    (files / "wide.yaml").write_text(text)
    (files / "wide.csv").write_text("\n".join(["time,oil_temperature,load", *(f"{line},5" for line in DAY[:100])]) + "\n")
    result = lineside("backtest", "wide.yaml", "wide.csv", "--report", "r.html", "--json")
    [row] = json.loads(result.stdout)["watches"]
    assert (row["machine"], row["tag"], row["tags"], row["readings"]) == ("press-07", "", ["load", "oil_temperature"], 200)
    page = (files / "r.html").read_text()
    assert page.count("<svg ") == 1
    assert all(f">{name}</text>" in page for name in row["tags"])
