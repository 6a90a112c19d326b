"""Shaft speed from a tacho and from the spectrum, and blocks of varying speed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.contract import Bearing, ConfigError, DetectorContext, Finding, Machine, Tag, TagOptions, Waveform
from gateway.testkit.rigs.vibration import BPFO, RATE_HZ, RPM, START_NS, bursts
from models.vibration import build, check
from models.vibration.config import VibrationOptions
from models.vibration.detector import Vibration

SECONDS, STEP_NS = 2.0, 10_000_000_000
N = int(SECONDS * RATE_HZ)


def detector(speed: float | str | None = None, **options: Any) -> Vibration:
    units = {"x": "g"} | ({"tacho": "V"} if "tacho" in options else {})
    waveform = [Tag(i, "pump-3", name, TagOptions(kind="waveform", unit=unit)) for i, (name, unit) in enumerate(units.items())]
    machine = Machine(name="pump-3", bearing=Bearing(designation="SKF 6205", speed=speed))
    context = DetectorContext(name="v", tags=tuple(waveform), machines={"pump-3": machine})
    given = VibrationOptions.model_validate({"on": "pump-3/*" if "tacho" in options else "pump-3/x", **options})
    check(given, context)
    found = build(given, context)
    assert isinstance(found, Vibration)
    return found


def at(number: int, samples: np.ndarray, tag: int = 0) -> Waveform:
    return Waveform(tag=tag, t_ns=START_NS + number * STEP_NS, rate_hz=RATE_HZ, samples=samples.astype(np.float32))


def bearing_of(found: list[Finding]) -> Finding | None:
    return next((finding for finding in found if finding.condition == "x_bearing"), None)


def angle(from_rpm: float, to_rpm: float) -> np.ndarray:
    """Revolutions since the first sample; the speed changes evenly."""
    t = np.arange(N) / RATE_HZ
    return from_rpm / 60 * t + (to_rpm - from_rpm) / 60 / SECONDS / 2 * t**2


def pulses(turns: np.ndarray) -> np.ndarray:
    return (turns % 1.0 < 0.1).astype(np.float32) * 5


def struck(turns: np.ndarray, seed: int, size: float = 0.15) -> np.ndarray:
    """An outer race struck BPFO times a revolution, whatever the speed."""
    random, t = np.random.default_rng(seed), np.arange(N) / RATE_HZ
    passes = np.cumsum(1 + 0.01 * random.normal(size=int(turns[-1] * BPFO)))
    hits = np.zeros(N)
    hits[np.minimum((np.interp(passes, turns * BPFO, t) * RATE_HZ).astype(int), N - 1)] = size
    ringing = np.exp(-t[:80] / 0.0008) * np.sin(2 * np.pi * 3300 * t[:80])
    return random.normal(0, 0.05, N) + np.convolve(hits, ringing)[:N]


@pytest.mark.parametrize("tacho_first", [True, False])
def test_a_tacho_tells_the_speed_whichever_of_the_two_blocks_comes_first(tacho_first: bool) -> None:
    vibration, told = detector(tacho="tacho"), []
    for number in range(4):
        pair = [at(number, pulses(angle(RPM, RPM)), tag=1), at(number, bursts(number, BPFO, N))]
        for block in pair if tacho_first else reversed(pair):
            told += vibration.process(block)
    found = bearing_of(told)
    assert found is not None
    assert (found.key, found.explanation["speed_from"]) == ("outer_race", "tacho")
    assert found.explanation["speed_rpm"] == pytest.approx(RPM, rel=1e-3)


def test_with_a_tacho_a_speed_that_varies_hides_no_damage() -> None:
    """From 1200 to 1800 rpm within each block: by time the lines are smeared over a third of their own frequency."""
    with_tacho, without, turns = detector(tacho="tacho"), detector(speed=1500.0), angle(1200.0, 1800.0)
    told: list[Finding] = []
    smeared: list[Finding] = []
    for number in range(6):
        block = at(number, struck(turns, number))
        told += with_tacho.process(at(number, pulses(turns), tag=1)) + with_tacho.process(block)
        smeared += without.process(block)
    found, other = bearing_of(told), bearing_of(smeared)
    assert found is not None
    assert found.key == "outer_race"
    assert found.explanation["speed_rpm"] == pytest.approx(1500, rel=0.02)
    assert other is not None
    assert other.key == ""


def test_blocks_without_a_tacho_block_or_without_pulses_are_counted() -> None:
    vibration = detector(tacho="tacho")
    for number in range(2):
        assert vibration.process(at(number, bursts(number, BPFO, N))) == []
    vibration.process(at(1, np.zeros(N), tag=1))
    assert {reason: count for reason, count in vibration.left_out().items() if count} == {"no_tacho": 1, "no_pulses": 1}


def test_blocks_that_cannot_be_computed_with_are_counted() -> None:
    vibration, good = detector(speed=RPM), bursts(0, BPFO, N)
    bad = good.copy()
    bad[5] = np.nan
    for block in (at(1, good), at(1, good), at(0, good), at(2, bad), at(3, good[:1000])):
        vibration.process(block)
    assert {reason: count for reason, count in vibration.left_out().items() if count} == {"late": 2, "not_finite": 1, "short": 1}


@pytest.mark.parametrize(("near", "seconds"), [(None, 5), (1750.0, 2)])
def test_the_spectrum_tells_the_speed_with_its_confidence(near: float | None, seconds: int) -> None:
    vibration, told = detector(speed=near, estimate_speed=True), []
    t = np.arange(seconds * int(RATE_HZ)) / RATE_HZ
    shaft = np.sum([0.1 * np.sin(2 * np.pi * k * RPM / 60 * t) for k in (1, 2, 3, 4)], axis=0)
    for number in range(4):
        told += vibration.process(at(number, bursts(number, BPFO, len(t)) + shaft))
    found = bearing_of(told)
    assert found is not None
    assert (found.key, found.explanation["speed_from"]) == ("outer_race", "spectrum")
    assert found.explanation["speed_rpm"] == pytest.approx(RPM, rel=2e-3)
    assert found.explanation["speed_confidence"] >= 0.7


def test_a_spectrum_that_shows_no_shaft_gives_no_opinion_on_the_bearing() -> None:
    vibration, told = detector(estimate_speed=True), []
    for number in range(4):
        told += vibration.process(at(number, np.random.default_rng(number).normal(0, 0.1, N)))
    assert bearing_of(told) is None


def test_a_bearing_whose_speed_nothing_tells_and_a_tacho_that_is_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="estimate_speed"):
        detector()
    with pytest.raises(ConfigError, match="pump-3/pulse is no waveform tag"):
        detector(tacho="pulse")
