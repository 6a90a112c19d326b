"""What a valid file means: profiles, lists from CSV, patterns, defaults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.config import ConfigErrors, Settings, load

Loaded = Callable[..., Settings]
PRESS = """
profiles:
  press:
    modbus: {word_order: CDAB, poll_seconds: 5}
    tags:
      oil_temperature: {at: 40011, as: float32, unit: degC, deadband: 0.5}
      running: {at: 10003}
machines:
  press-07:
    profile: press
    source: {modbus: "tcp://10.1.4.7:502", poll_seconds: 1}
    tags:
      oil_temperature: {deadband: 2}
      strokes: {at: 30020, as: uint32}
  press-08: {profile: press, source: {modbus: "tcp://10.1.4.8:502"}}
"""


@pytest.fixture
def loaded(folder: Path) -> Loaded:
    def read(text: str, **files: str) -> Settings:
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8")
        head = "version: 1\nsite: {enterprise: acme, site: dresden, gateway: gw-1}\n"
        (folder / "lineside.yaml").write_text(head + text, encoding="utf-8")
        return load(folder / "lineside.yaml")

    return read


def test_a_machine_takes_what_its_profile_says_and_what_it_says_itself_goes_first(loaded: Loaded) -> None:
    settings = loaded(PRESS)
    seven, eight = settings.sources
    assert (seven.options.word_order, seven.options.poll_seconds) == ("CDAB", 1)
    assert (eight.options.word_order, eight.options.poll_seconds) == ("CDAB", 5)
    assert [tag.path for tag in settings.tags] == [
        "press-07/oil_temperature",
        "press-07/running",
        "press-07/strokes",
        "press-08/oil_temperature",
        "press-08/running",
    ]
    assert [tag.index for tag in settings.tags] == [0, 1, 2, 3, 4]
    own, shared = settings.tags[0].options, settings.tags[3].options
    assert (own.deadband, own.unit, own.as_) == (2, "degC", "float32")
    assert shared.deadband == 0.5


def test_a_tag_that_a_profile_does_not_place_is_missing_its_address(loaded: Loaded) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loaded(PRESS.replace("strokes: {at: 30020, as: uint32}", "strokes: {as: uint32}"))
    assert [problem.where for problem in caught.value.problems] == ["machines.press-07.tags.strokes.at"]


def test_patterns_choose_tags_of_every_machine(loaded: Loaded) -> None:
    settings = loaded(
        PRESS
        + """
watch:
  - limit: {on: "press-*/oil_*", high: 70}
  - limit: {on: [press-08], high: 1}
  - limit: {name: hot, on: "*/r?nning", low: 1}
"""
    )
    assert [(watch.name, [tag.path for tag in watch.tags]) for watch in settings.watches] == [
        ("limit-1", ["press-07/oil_temperature", "press-08/oil_temperature"]),
        ("limit-2", ["press-08/oil_temperature", "press-08/running"]),
        ("hot", ["press-07/running", "press-08/running"]),
    ]


def test_tags_from_a_spreadsheet_come_behind_those_of_the_file(loaded: Loaded) -> None:
    text = """
machines:
  press-07:
    source: {modbus: "tcp://10.1.4.7:502"}
    tags:
      running: {at: 10003}
    tags_from: more.csv
"""
    csv = "\ufeffname;at;as;unit;scale;range;stuck_after\noil_pressure;40013;float32;bar;0,1;0..250,5;5m\nvalve;00001;;;;;\n"
    settings = loaded(text, **{"more.csv": csv})
    running, pressure, valve = settings.tags
    assert (running.name, valve.name) == ("running", "valve")
    assert (pressure.options.at, pressure.options.unit, pressure.options.scale) == (40013, "bar", 0.1)
    assert (pressure.options.range, pressure.options.stuck_after) == ((0, 250.5), 300)
    assert valve.options.at == 1
    assert valve.options.unit == ""


def test_what_is_left_out_has_the_documented_default(loaded: Loaded) -> None:
    settings = loaded("")
    assert settings.site.timezone == ZoneInfo("UTC")
    assert settings.site.urn == "urn:lineside:acme:dresden:gw-1"
    assert (settings.machines, settings.tags, settings.sources, settings.watches, settings.destinations) == ({}, (), (), (), ())
    incidents = settings.incidents
    assert (incidents.hold, incidents.clear_after, incidents.before, incidents.after) == (0, 300, 60, 30)
    assert (settings.buffer.max_megabytes, settings.buffer.keep_events_days) == (512, 30)
    assert settings.web is not None
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8080)
    assert settings.state_dir == Path("/var/lib/lineside")


def test_page_off_means_no_page(loaded: Loaded) -> None:
    assert loaded("gateway: {page: off}").web is None
    assert (page := loaded("gateway: {page: {port: 0}}").web) is not None
    assert page.port == 0


def test_a_bearing_may_come_from_the_profile(loaded: Loaded) -> None:
    settings = loaded("""
profiles:
  pump: {bearing: {designation: SKF 6205, speed: speed}, tags: {speed: {at: 40001}}}
machines:
  pump-1: {profile: pump, source: {modbus: "tcp://10.1.4.7"}}
  pump-2: {profile: pump, source: {modbus: "tcp://10.1.4.8"}, bearing: {designation: SKF 6206, speed: 1480}}
""")
    first, second = settings.machines["pump-1"].bearing, settings.machines["pump-2"].bearing
    assert first is not None
    assert second is not None
    assert (first.designation, first.speed) == ("SKF 6205", "speed")
    assert (second.designation, second.speed) == ("SKF 6206", 1480)


def test_a_tag_with_an_error_is_not_also_unknown_to_those_who_refer_to_it(loaded: Loaded) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loaded("""
machines:
  pump-3:
    source: {modbus: "tcp://10.1.4.7"}
    tags: {speed: {at: fast}}
    bearing: {designation: SKF 6205, speed: speed}
watch:
  - limit: {on: pump-3/speed, high: 3000, only_when: speed > 100}
""")
    assert [problem.where for problem in caught.value.problems] == ["machines.pump-3.tags.speed.at"]


def test_a_list_that_cannot_be_read_does_not_make_its_tags_unknown(loaded: Loaded) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loaded("""
machines:
  pump-3:
    source: {modbus: "tcp://10.1.4.7"}
    tags_from: lost.csv
watch:
  - limit: {on: "pump-*/speed", high: 3000, only_when: running}
""")
    assert [problem.where for problem in caught.value.problems] == ["machines.pump-3.tags_from"]


def test_two_watches_cannot_share_a_name(loaded: Loaded) -> None:
    with pytest.raises(ConfigErrors, match=r"watch\[1\]\.limit\.name: a second watch named 'limit-1'"):
        loaded(PRESS + "watch:\n  - limit: {on: press-07, high: 1}\n  - limit: {on: press-08, high: 1, name: limit-1}\n")


def test_a_record_cannot_be_named_like_a_tag(loaded: Loaded) -> None:
    with pytest.raises(ConfigErrors, match="a tag of this machine is named 'step' too"):
        loaded('machines: {mes: {source: {mqtt: "mqtt://b"}, tags: {step: {topic: a}}, records: {step: {topic: b}}}}')


def test_a_folder_is_not_a_file(folder: Path) -> None:
    with pytest.raises(ConfigErrors, match="cannot be read: Is a directory"):
        load(folder)


def test_a_secret_that_is_missing_is_one_problem_where_it_is_written(loaded: Loaded) -> None:
    """`token` stands for an `auth` that nobody wrote."""
    with pytest.raises(ConfigErrors) as caught:
        loaded('deliver: {crm: {https: "http://127.0.0.1:9/", token: {secret: crm_token}}}\n')
    (problem,) = caught.value.problems
    assert (problem.where, problem.line) == ("deliver.crm.token", 3)
