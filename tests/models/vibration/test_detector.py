import itertools
import json
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from pydantic import ValidationError

from gateway.contract import Bearing, ConfigError, DetectorContext, Finding, Machine, Severity, State, StateError, Tag, TagOptions, Waveform
from gateway.testkit.rigs.vibration import BPFI, BPFO, RPM, block, bursts, noise
from models.vibration import build, plugin
from models.vibration.config import VibrationOptions
from models.vibration.detector import Vibration

SPEED = Bearing(designation="SKF 6205", speed="speed")


def detector(*, bearing: Bearing | None = SPEED, unit: str = "g", more: dict[str, Machine] | None = None, **options: Any) -> Vibration:
    context = DetectorContext(
        name="vibration-1",
        tags=(
            Tag(0, "pump-3", "vibration_x", TagOptions(kind="waveform", unit=unit)),
            Tag(1, "pump-3", "speed", TagOptions(unit="rpm")),
        ),
        machines={"pump-3": Machine(name="pump-3", bearing=bearing), **(more or {})},
    )
    found = build(VibrationOptions.model_validate({"on": "pump-3/*", **options}), context)
    assert isinstance(found, Vibration)
    return found


def run(vibration: Vibration, samples: list[np.ndarray], *, first: int = 0, rpm: float | None = RPM) -> list[Finding]:
    return [found for i, one in enumerate(samples, first) for found in vibration.process(block(i, one, rpm=rpm))]


def of(findings: list[Finding], condition: str) -> list[tuple[State, Severity, str]]:
    return [(f.state, f.severity, f.key) for f in findings if f.condition == f"vibration_x_{condition}"]


def healthy(n: int) -> list[np.ndarray]:
    return [noise(seed, unbalance=0.03) for seed in range(n)]


def damaged(n: int, order: float = BPFO, **how: float) -> list[np.ndarray]:
    return [bursts(seed, order, **how) for seed in range(n)]


def test_outer_race_damage_is_told_after_three_blocks_with_its_lines() -> None:
    vibration = detector()
    assert of(run(vibration, damaged(2)), "bearing") == []
    (found,) = [f for f in run(vibration, damaged(3)[2:], first=2) if f.condition == "vibration_x_bearing"]
    assert (found.state, found.severity, found.key) == (State.ACTIVE, Severity.WARNING, "outer_race")
    assert found.since_ns == block(0, noise(0)).t_ns
    assert found.t_ns == block(2, noise(0)).t_ns + 1_000_000_000
    assert found.title == "pump-3: bearing, outer race damage (vibration_x)"
    lines = found.evidence["envelope_spectrum"]["lines"]
    assert [line["name"] for line in lines] == ["BPFO", "2xBPFO", "3xBPFO", "4xBPFO"]
    assert lines[0]["hz"] == pytest.approx(BPFO * RPM / 60, rel=0.02)


def test_one_damaged_block_is_not_told_and_repair_is() -> None:
    vibration = detector(memory=1)
    assert of(run(vibration, healthy(3)), "bearing") == [(State.OVER, Severity.WARNING, "")]
    assert of(run(vibration, damaged(1), first=3), "bearing") == []
    assert of(run(vibration, healthy(2), first=4), "bearing") == []
    assert of(run(vibration, damaged(3), first=6), "bearing") == [(State.ACTIVE, Severity.WARNING, "outer_race")]
    assert of(run(vibration, healthy(3), first=9), "bearing") == [(State.OVER, Severity.WARNING, "")]


def test_another_diagnosis_changes_the_key() -> None:
    vibration = detector(memory=1)
    run(vibration, damaged(3))
    found = of(run(vibration, damaged(4, BPFI, modulation=0.7), first=3), "bearing")
    assert found == [(State.ACTIVE, Severity.WARNING, "inner_race")]


def test_damage_that_shakes_the_machine_is_an_error() -> None:
    vibration = detector()
    found = run(vibration, [one + noise(i, unbalance=0.3) for i, one in enumerate(damaged(4))])
    assert of(found, "bearing") == [(State.ACTIVE, Severity.ERROR, "outer_race")]
    assert of(found, "velocity") == [(State.ACTIVE, Severity.CRITICAL, "")]


def test_zones_need_three_blocks_and_hysteresis() -> None:
    """0.1 g at 29.95 Hz is 3.68 mm/s, zone C; 0.075 g 2.76, below 2.8 but not by a tenth; 0.06 g 2.21."""
    vibration = detector(bearing=None)
    amplitudes = [0.03] * 3 + [0.1] * 3 + [0.075] * 3 + [0.06] * 3 + [0.2] * 3
    told = {}
    for i, amplitude in enumerate(amplitudes):
        for f in vibration.process(block(i, noise(i, unbalance=amplitude))):
            if f.condition != "vibration_x_velocity":
                continue
            told[i] = (f.state, f.severity, f.explanation["zone"])
    assert told == {
        2: (State.OVER, Severity.WARNING, "A"),
        5: (State.ACTIVE, Severity.WARNING, "C"),
        11: (State.OVER, Severity.WARNING, "B"),
        14: (State.ACTIVE, Severity.CRITICAL, "D"),
    }


def test_own_zones_replace_the_table() -> None:
    found = run(detector(zones=[0.1, 0.2, 50]), healthy(3))
    (velocity,) = [f for f in found if f.condition == "vibration_x_velocity"]
    assert velocity.state is State.ACTIVE
    assert velocity.explanation["limits"] == [0.1, 0.2, 50]


@pytest.mark.parametrize("rpm", [None, 0.0, 12.0, float("nan")])
def test_without_a_turning_shaft_there_is_severity_but_no_opinion_on_the_bearing(rpm: float | None) -> None:
    found = run(detector(), damaged(4), rpm=rpm)
    assert of(found, "bearing") == []
    assert len(of(found, "velocity")) == 1


def test_a_fixed_speed_stands_in_configuration() -> None:
    found = run(detector(bearing=Bearing(designation="6205", speed=RPM)), damaged(3), rpm=None)
    assert of(found, "bearing") == [(State.ACTIVE, Severity.WARNING, "outer_race")]


def test_a_shaft_that_turns_backwards_is_a_turning_shaft() -> None:
    assert of(run(detector(), damaged(3), rpm=-RPM), "bearing")[0][0] is State.ACTIVE


def test_late_repeated_and_unusable_blocks_count_for_nothing() -> None:
    vibration = detector()
    run(vibration, damaged(2))
    state = vibration.dump()
    good = bursts(9, BPFO)
    holes = good.copy()
    holes[7] = np.nan
    for item in (
        block(1, good),
        block(0, good),
        block(5, holes),
        block(5, good[:1000]),
        block(5, good * np.float32(1e12)),
        block(5, good, tag=3),
    ):
        assert vibration.process(item) == []
    assert vibration.dump() == state


def test_latest_is_what_the_page_expects_and_is_never_changed_in_place() -> None:
    vibration = detector()
    assert vibration.latest() == {}
    vibration.process(block(0, bursts(0, BPFO)))
    first = vibration.latest()
    copy = json.loads(json.dumps(first))
    vibration.process(block(1, noise(0)))
    assert first == copy
    shown = vibration.latest()["pump-3/vibration_x"]
    assert shown["t_ns"] == block(1, noise(0)).t_ns
    for kind in ("envelope_spectrum", "velocity_spectrum"):
        assert shown[kind].keys() == {"hz_start", "hz_step", "amplitudes", "unit", "lines"}
    assert [line["name"] for line in shown["envelope_spectrum"]["lines"]] == ["BPFO", "BPFI", "2xBSF", "FTF"]
    assert shown["envelope_spectrum"]["lines"][0]["hz"] == pytest.approx(BPFO * RPM / 60, abs=0.01)


@pytest.mark.parametrize("n", [12_000, 96_000])
def test_evidence_is_small_and_keeps_the_peaks(n: int) -> None:
    found = run(detector(confirm=1), [bursts(1, BPFO, n) + noise(1, n, unbalance=0.5)])
    assert [f.condition.rpartition("_")[2] for f in found] == ["signal", "velocity", "bearing"]
    found = found[1:]
    for finding in found:
        assert len(msgspec.json.encode(finding.evidence)) <= 40 * 1024
        spectra = [part for name, part in finding.evidence.items() if name.endswith("_spectrum")]
        assert spectra
        assert all(len(spectrum["amplitudes"]) <= 800 for spectrum in spectra)
    velocity = found[0].evidence["velocity_spectrum"]
    peak = max(velocity["amplitudes"])
    assert peak == pytest.approx(0.53 * 9806.65 / (2 * np.pi * RPM / 60), rel=0.15)
    hz = velocity["hz_start"] + velocity["amplitudes"].index(peak) * velocity["hz_step"]
    assert hz == pytest.approx(RPM / 60, abs=velocity["hz_step"])


@pytest.mark.parametrize("n", [1024, 1031, 2400, 12_007, 25_601])
def test_any_length_is_analysed(n: int) -> None:
    vibration = detector()
    vibration.process(block(0, bursts(1, BPFO, n)))
    assert vibration.latest()


def test_first_opinion_after_a_start_is_told_again() -> None:
    before, after = detector(), detector()
    run(before, damaged(4))
    after.load(before.dump())
    assert of(run(after, damaged(1), first=4), "bearing") == [(State.ACTIVE, Severity.WARNING, "outer_race")]


def test_state_of_another_bearing_keeps_the_opinion_and_begins_a_new_average() -> None:
    before, after = detector(), detector(bearing=Bearing(designation="6203", speed="speed"))
    run(before, damaged(4))
    after.load(before.dump())
    found = [f for f in run(after, healthy(3), first=4) if f.condition == "vibration_x_bearing"]
    assert [f.state for f in found] == [State.ACTIVE, State.OVER]
    assert found[0].explanation["blocks"] == 1


def test_state_of_more_confirmations_is_cut() -> None:
    before, after = detector(confirm=5, memory=8), detector(confirm=2, memory=2)
    run(before, damaged(6))
    after.load(before.dump())
    found = [f for f in run(after, damaged(1), first=6) if f.condition == "vibration_x_bearing"]
    assert found[0].explanation["blocks"] == 7


@pytest.mark.parametrize("damage", [lambda s: b"", lambda s: s[:-40], lambda s: s[:200], lambda s: b"PK" + s, lambda s: b"{}"])
def test_a_damaged_state_is_refused_and_changes_nothing(damage: Any) -> None:
    vibration = detector()
    run(vibration, damaged(4))
    before = vibration.dump()
    with pytest.raises(StateError):
        vibration.load(damage(before))
    assert vibration.dump() == before


@pytest.mark.parametrize(
    ("spoil", "trouble"),
    [
        (lambda x: np.zeros_like(x), "zeros"),
        (lambda x: np.full_like(x, 0.3), "dead"),
        (lambda x: np.clip(x, -0.1, 0.1), "clipped"),
        (lambda x: x + np.float32(30), "offset"),
        (lambda x: x * np.float32(30_000), "unit"),
    ],
)
def test_a_sensor_that_cannot_be_believed_is_told_and_nothing_else(spoil: Any, trouble: str) -> None:
    vibration = detector()
    found = run(vibration, [spoil(one) for one in damaged(6)])
    assert [(f.condition, f.state, f.key) for f in found] == [("vibration_x_signal", State.ACTIVE, trouble)]
    again = [(f.condition, f.state, f.key) for f in run(vibration, healthy(4), first=6)]
    assert ("vibration_x_signal", State.OVER, "") in again
    assert ("vibration_x_velocity", State.OVER, "") in again


def test_one_sample_a_second_is_no_waveform() -> None:
    vibration = detector()
    slow = [Waveform(tag=0, t_ns=i * 10**13, rate_hz=1.0, samples=noise(i, 2000), speed_rpm=RPM) for i in range(1, 5)]
    found = [f for one in slow for f in vibration.process(one)]
    assert [(f.condition, f.key) for f in found] == [("vibration_x_signal", "too_slow")]


@pytest.mark.parametrize("factor", [1.05, 1 / 1.05])
def test_a_speed_that_is_wrong_by_five_percent_is_told_where_the_spectrum_shows_it(factor: float) -> None:
    t = np.arange(48_000) / 12_000
    shaft = sum(0.02 / k * np.sin(2 * np.pi * k * RPM / 60 * t + k) for k in (1, 2, 3, 4))
    blocks = [(bursts(seed, BPFO, 48_000) + shaft).astype(np.float32) for seed in range(5)]
    found = run(detector(), blocks, rpm=RPM * factor)
    assert not [f for f in found if f.condition == "vibration_x_bearing" and f.state is State.ACTIVE]
    assert of(run(detector(), blocks), "bearing") == [(State.ACTIVE, Severity.WARNING, "outer_race")]


def test_a_level_that_rises_is_told_long_before_a_limit_with_a_forecast() -> None:
    vibration = detector(bearing=None)
    rising = [noise(seed, unbalance=0.02 * 1.02 ** max(0, seed - 110)) for seed in range(170)]
    found = [f for f in run(vibration, rising, rpm=None) if f.condition == "vibration_x_trend"]
    assert [f.state for f in found][:2] == [State.OVER, State.ACTIVE]
    first, last = found[1], found[-1]
    assert first.explanation["quantity"] == "velocity"
    assert first.explanation["change_percent"] > 4
    assert first.explanation["velocity_mm_s"] < 1.4  # zone A
    earliest, latest = last.explanation["seconds_to_limit_between"]
    blocks_left = np.log(4.5 / last.explanation["velocity_mm_s"]) / np.log(1.02)
    assert earliest < 10 * blocks_left < latest
    assert of(run(vibration, [noise(seed, unbalance=0.02) for seed in range(60)], first=170, rpm=None), "trend")[-1][0] is State.OVER


def test_a_bearing_s_lines_are_a_trend_before_they_are_damage() -> None:
    """Bursts that grow, in blocks long enough to be looked at one by one."""
    sizes = [0.001] * 115 + [0.001 + 0.002 * i for i in range(40)]
    found = run(detector(), [bursts(seed, BPFO, 54_000, size=size) for seed, size in enumerate(sizes)])
    told = [f for f in found if f.condition == "vibration_x_trend" and f.state is State.ACTIVE]
    assert told[0].explanation["quantity"] == "BPFO lines"
    assert "outer_race" not in [f.key for f in found if f.t_ns <= told[0].t_ns]


def test_a_healthy_bearing_has_no_trend() -> None:
    found = run(detector(), [noise(seed, unbalance=0.03) for seed in range(300)])
    assert [f.state for f in found if f.condition == "vibration_x_trend"] == [State.OVER]


@pytest.mark.parametrize("load_step", [10.0, None])
def test_a_load_that_shakes_more_is_no_trend_where_the_load_is_known(load_step: float | None) -> None:
    """Learnt at a fifth of the load; then it runs at four fifths, which shakes half as much again."""
    options = {} if load_step is None else {"load": "power", "load_step": load_step}
    vibration, told = detector(bearing=None, **options), []
    for number in range(220):
        heavy = number >= 130
        one = block(number, noise(number, 4096, unbalance=0.03 if heavy else 0.02))
        told += vibration.process(replace(one, load=80.0 if heavy else 20.0))
    rises = [f for f in told if f.condition == "vibration_x_trend" and f.state is State.ACTIVE]
    assert bool(rises) == (load_step is None)
    again = detector(bearing=None, **options)
    again.load(vibration.dump())
    assert again.dump() == vibration.dump()


def test_what_all_points_of_a_machine_do_together_is_no_trend_of_one() -> None:
    tags = tuple(Tag(i, "rig", f"b{i}", TagOptions(kind="waveform", unit="g")) for i in range(4))
    context = DetectorContext(name="v", tags=tags, machines={"rig": Machine(name="rig")})
    vibration = build(VibrationOptions.model_validate({"on": "rig/*"}), context)
    told = []
    for number in range(200):
        for tag in range(4):
            height = 0.02 * (1.5 + 0.1 * tag if number >= 130 else 1.0)
            told += vibration.process(block(number, noise(10 * number + tag, 4096, unbalance=height), tag=tag))
    assert not [f for f in told if f.condition.endswith("_trend") and f.state is State.ACTIVE]


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"unit": ""}, r"pump-3/vibration_x: vibration needs unit g, m/s2, mm/s, um or mm, not ''"),
        ({"bearing": Bearing(designation="6250", speed=1)}, "did you mean"),
    ],
)
def test_what_only_the_machines_tell_is_found_when_building(how: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        detector(**how)


def test_the_watch_may_name_another_machine_s_bearing() -> None:
    context = {"motor-1": Machine(name="motor-1", bearing=Bearing(designation="6203", speed=RPM)), "fan": Machine(name="fan")}
    options = {"on": "pump-3/*", "bearing": "motor-1"}
    tags = (Tag(0, "pump-3", "vibration_x", TagOptions(kind="waveform", unit="g")),)
    machines = {"pump-3": Machine(name="pump-3"), **context}
    vibration = build(VibrationOptions.model_validate(options), DetectorContext(name="vibration-1", tags=tags, machines=machines))
    vibration.process(block(0, noise(0), rpm=None))
    assert isinstance(vibration, Vibration)
    assert vibration.latest()["pump-3/vibration_x"]["envelope_spectrum"]["lines"][0]["hz"] == pytest.approx(3.0531 * RPM / 60, abs=0.05)
    for name, problem in (("fan", "has no bearing"), ("moter-1", "none of the machines")):
        with pytest.raises(ConfigError, match=problem):
            build(VibrationOptions.model_validate(options | {"bearing": name}), DetectorContext(name="v", tags=tags, machines=machines))


def test_a_watch_without_a_waveform_is_a_configuration_error() -> None:
    context = DetectorContext(name="vibration-1", tags=(Tag(0, "pump-3", "speed", TagOptions(unit="rpm")),))
    with pytest.raises(ConfigError, match="none of its tags is of kind: waveform"):
        build(VibrationOptions.model_validate({"on": "pump-3/*"}), context)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"zones": [1, 2, 3], "iso": {"group": 1}}, "not two of them"),
        ({"zones": [1, 3, 2]}, "rising"),
        ({"zones": [0, 1, 2]}, "above 0"),
        ({"iso": {"group": 3}}, "Input should be 1 or 2"),
        ({"iso": {"group": 1, "suport": "rigid"}}, "Extra inputs"),
        ({"band": [5000, 1000]}, "below the upper end"),
        ({"band": [-1, 1000]}, "below 0 Hz"),
        ({"confirm": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        plugin.options.model_validate({"on": "pump-3/*", **options})


def test_a_narrow_band_and_a_fast_shaft_are_survived() -> None:
    rates = itertools.product((900.0, 60_000.0, 1e9), (None, (5990.0, 6000.0), (0.0, 6000.0), (1000.0, 1070.0)))
    for rpm, band in rates:
        vibration = detector(band=band)
        long = Waveform(tag=0, t_ns=1, rate_hz=12_000.0, samples=noise(1, 48_000), speed_rpm=rpm)
        vibration.process(long)
        vibration.process(replace(long, t_ns=2, rate_hz=100.0))
        assert vibration.latest()
