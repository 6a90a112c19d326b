"""Three points of one machine: one incident for one cause, and its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from gateway.contract import Bearing, ConfigError, DetectorContext, Finding, Machine, Severity, State, Tag, TagOptions
from gateway.testkit.rigs.vibration import BPFO, RPM, block, bursts, noise
from models.vibration import build, check
from models.vibration.config import VibrationOptions
from models.vibration.detector import Vibration

POINTS = {"drive_end": {"horizontal": "a", "axial": "b"}, "free_end": {"vertical": "c"}, "gear": {"horizontal": "d"}}
HEALTHY: dict[str, float] = dict.fromkeys("abcd", 0.0)


def detector(points: Any = None, names: str = "abcd") -> Vibration:
    tags = tuple(Tag(i, "pump-3", name, TagOptions(kind="waveform", unit="g")) for i, name in enumerate(names))
    context = DetectorContext(
        name="v", tags=tags, machines={"pump-3": Machine(name="pump-3", bearing=Bearing(designation="6205", speed=RPM))}
    )
    options = VibrationOptions.model_validate({"on": "pump-3/*", "points": points or POINTS})
    check(options, context)
    found = build(options, context)
    assert isinstance(found, Vibration)
    return found


def run(vibration: Vibration, first: int, blocks: int, struck: dict[str, float], unbalance: float = 0.03) -> list[Finding]:
    """`struck`: height of a strike at each tag; 0 is healthy."""
    told = []
    for number in range(first, first + blocks):
        for tag, size in enumerate((HEALTHY | struck).values()):
            quiet = noise(10 * number + tag, unbalance=unbalance)
            samples = bursts(10 * number + tag, BPFO, size=size) if size else quiet
            told += vibration.process(block(number, samples.astype(np.float32), tag=tag))
    return told


def of(told: list[Finding], kind: str) -> list[Finding]:
    return [finding for finding in told if finding.condition == f"vibration_{kind}"]


def test_a_fault_that_two_points_see_is_one_incident_at_the_strongest() -> None:
    vibration = detector()
    (usual,) = of(run(vibration, 0, 4, {}), "bearing")
    assert usual.state is State.OVER
    found = of(run(vibration, 4, 8, {"a": 0.2, "b": 0.2, "c": 0.8}), "bearing")
    assert {finding.state for finding in found} == {State.ACTIVE}
    last = found[-1]
    assert (last.key, last.explanation["point"], last.explanation["direction"]) == ("outer_race", "free_end", "vertical")
    assert last.title == "pump-3: bearing, outer race damage (free_end vertical)"
    assert {point["point"] for point in last.explanation["points"]} >= {"free_end", "drive_end"}
    assert last.tags[0] == "c"
    repaired = of(run(vibration, 12, 16, {}), "bearing")
    assert repaired[-1].state is State.OVER


def test_what_all_points_begin_to_see_together_and_alike_is_no_bearing_fault() -> None:
    vibration = detector()
    run(vibration, 0, 4, {})
    found = of(run(vibration, 4, 8, {"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.5}), "bearing")
    assert {finding.state for finding in found} == {State.OVER}
    assert found[-1].explanation["seen_by_all_points"] is True


def test_the_end_is_told_when_every_channel_has_said_so() -> None:
    vibration = detector()
    told = of(run(vibration, 0, 4, {}, unbalance=0.1), "velocity")
    assert [(finding.state, finding.severity) for finding in told] == [(State.ACTIVE, Severity.WARNING)]
    assert len(told[0].explanation["points"]) == 4
    told = of(run(vibration, 4, 4, {}), "velocity")
    assert [finding.state for finding in told] == [State.OVER]


def test_after_a_start_nothing_is_closed_before_all_channels_were_heard() -> None:
    before, after = detector(), detector()
    run(before, 0, 6, {"c": 0.8})
    after.load(before.dump())
    told = of(run(after, 6, 4, {"c": 0.8}), "bearing")
    assert {finding.state for finding in told} == {State.ACTIVE}


def test_a_dead_channel_holds_up_no_other() -> None:
    vibration = detector()
    told: list[Finding] = []
    for number in range(5):
        told += vibration.process(block(number, bursts(number, BPFO), tag=2))
    assert [finding.explanation["point"] for finding in of(told, "bearing")] == ["free_end"]


@pytest.mark.parametrize(("names", "says"), [("abc", "pump-3/d is no waveform tag"), ("abcde", "pump-3/e is watched")])
def test_points_that_do_not_fit_the_tags_are_refused(names: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        detector(names=names)


def test_a_tag_of_two_points_is_refused() -> None:
    with pytest.raises(ValidationError, match="points names x twice"):
        VibrationOptions.model_validate({"on": "p/*", "points": {"one": {"axial": "x"}, "two": {"axial": "x"}}})


def test_what_the_points_said_goes_along_with_a_clock_that_leaps() -> None:
    vibration, hour = detector(), 3600 * 10**9
    told = of(run(vibration, 0, 4, {}, unbalance=0.1), "velocity")
    vibration.leap("pump-3", -hour)
    over = []
    for number in range(4, 16):
        for tag in range(4):
            quiet = block(number, noise(10 * number + tag), tag=tag)
            over += vibration.process(replace(quiet, t_ns=quiet.t_ns - hour))
    (end,) = of(over, "velocity")
    assert end.state is State.OVER
    assert 0 < end.t_ns - (told[0].t_ns - hour) < 60 * 10**9


def test_levels_are_those_of_their_points_in_whatever_order_these_stand_after_a_restart() -> None:
    before, after = detector(), detector(names="dcba")
    run(before, 0, 6, {}, unbalance=0.05)
    after.load(before.dump())
    trend, same = before._trends["pump-3"], after._trends["pump-3"]
    assert trend.levels.keys() == same.levels.keys()
    assert np.array_equal(trend.history[::-1], same.history, equal_nan=True)
    for levels, others in zip(trend.levels.values(), same.levels.values(), strict=True):
        for level, other in zip(levels, others, strict=True):
            assert np.array_equal(level.known[:, ::-1], other.known)
    assert len({tuple(column) for column in levels[0].known.T}) > 1
