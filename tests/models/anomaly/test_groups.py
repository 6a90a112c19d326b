"""Alarms of a machine's tags that begin together are one incident; what kind each is."""

from typing import Any

import numpy as np
import pytest

from gateway.contract import Batch, Detector, Finding, Severity, State
from gateway.testkit.contexts import detector_context
from models.anomaly import plugin

START, SECOND, LEARNT = 1_800_000_000 * 10**9, 10**9, 600
FAST = {"warm_up": "1m", "warm_up_readings": 200, "memory": "1d", "smooth": "5s"}
PATHS = ["press/a", "press/b", "press/c", "press/d", "press/e", "press/f", "oven/g"]
Floats = np.ndarray[Any, np.dtype[np.float64]]


def anomaly(**options: Any) -> Detector:
    return plugin.build(plugin.options.model_validate({"on": "*/*", **FAST, **options}), detector_context(plugin, PATHS))


def noise(n: int, seed: int = 1) -> Floats:
    return 50 + np.random.default_rng(seed).normal(0, 1, (n, len(PATHS)))


def run(detector: Detector, x: Floats, start: float, every: float = 1.0) -> list[Finding]:
    found: list[Finding] = []
    for i, row in enumerate(x):
        t_ns = np.full(len(row), START + int((start + i * every) * SECOND))
        found += detector.process(Batch.of(np.arange(len(row)), t_ns, row))
    return found


@pytest.fixture(scope="module")
def learnt() -> bytes:
    """Six tags of a press and one of an oven, white noise (50 ± 1)."""
    detector = anomaly()
    run(detector, noise(LEARNT), 0)
    return detector.dump()


def moved(state: bytes, *tags: int, seconds: int = 30, by: float = 20.0, after: int = 60) -> list[Finding]:
    """These tags step, and come back."""
    detector = anomaly()
    detector.load(state)
    x = noise(seconds + after, seed=2)
    x[:seconds, list(tags)] += by
    return run(detector, x, LEARNT)


def active(found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.state is State.ACTIVE]


def test_tags_that_move_together_are_one_incident_with_a_ranked_list(learnt: bytes) -> None:
    found = active(moved(learnt, 1, 3))
    assert len({(one.machine, one.condition) for one in found}) == 1
    assert sorted(found[-1].tags) == ["b", "d"]
    ranked = found[-1].explanation["tags"]
    assert isinstance(ranked, list)
    shares = [one["share"] for one in ranked]  # type: ignore[index,call-overload]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=0.01)
    assert {one["direction"] for one in ranked} == {"up"}  # type: ignore[index,call-overload]
    assert "unusual together" in found[-1].title


def test_the_incident_is_over_when_the_last_of_its_tags_is(learnt: bytes) -> None:
    detector = anomaly()
    detector.load(learnt)
    x = noise(200, seed=2)
    x[:30, 1] += 20
    x[:90, 3] += 20
    found = run(detector, x, LEARNT)
    over = [one for one in found if one.state is State.OVER and one.t_ns > START + (LEARNT + 5) * SECOND]
    assert len(over) == 1
    assert over[0].t_ns > START + (LEARNT + 90) * SECOND
    assert over[0].condition == active(found)[0].condition


def test_tags_of_two_machines_are_two_incidents(learnt: bytes) -> None:
    assert {one.machine for one in active(moved(learnt, 1, 6))} == {"press", "oven"}
    assert {len(one.tags) for one in active(moved(learnt, 1, 6))} == {1}


def test_what_begins_later_is_an_incident_of_its_own(learnt: bytes) -> None:
    detector = anomaly(together="10s")
    detector.load(learnt)
    x = noise(120, seed=2)
    x[:, 1] += 20
    x[60:, 3] += 20
    assert {one.condition for one in active(run(detector, x, LEARNT))} == {"b_anomaly", "d_anomaly"}


def test_most_tags_of_a_machine_together_are_a_changed_operating_point(learnt: bytes) -> None:
    found = active(moved(learnt, 0, 1, 2, 3, 4))
    assert len({one.condition for one in found}) == 1
    assert found[-1].key == "operating_point_changed"
    assert found[-1].severity is Severity.WARNING
    assert "operating point changed" in found[-1].title
    assert all(one.key == "" for one in active(moved(learnt, 0, 1, 2)))


def test_a_restart_in_the_middle_keeps_the_incident(learnt: bytes) -> None:
    first, second = anomaly(), anomaly()
    first.load(learnt)
    x = noise(90, seed=2)
    x[:30, [1, 3]] += 20
    before = run(first, x[:15], LEARNT)
    second.load(first.dump())
    after = run(second, x[15:], LEARNT + 15)
    conditions = {one.condition for one in active(before)}
    assert len(conditions) == 1
    assert {one.condition for one in active(after)} == conditions
    assert [one.condition for one in after if one.state is State.OVER and one.condition in conditions] == list(conditions)


def kinds(found: list[Finding], tag: str) -> list[object]:
    return [one.explanation["kind"] for one in active(found) if one.condition == f"{tag}_anomaly"]


def test_more_noise_is_told_as_variance(learnt: bytes) -> None:
    detector = anomaly()
    detector.load(learnt)
    x = noise(200, seed=3)
    x[:, 1] = 50 + np.random.default_rng(4).normal(0, 15, 200)
    assert "variance" in kinds(run(detector, x, LEARNT), "b")


def test_a_slow_rise_is_told_as_drift(learnt: bytes) -> None:
    detector = anomaly()
    detector.load(learnt)
    x = noise(200, seed=3)
    x[:, 1] = 50 + np.random.default_rng(4).normal(0, 0.3, 200) + np.arange(200) / 60
    assert kinds(run(detector, x, LEARNT), "b")[:1] == ["drift"]


def test_what_is_usual_at_another_hour_is_told_as_a_broken_season() -> None:
    """Ten days of 80 by day and 20 by night, then 20 at noon: a value seen a thousand times."""
    detector = anomaly(warm_up="1h", smooth="10s")
    rng = np.random.default_rng(5)
    day = np.where((np.arange(96) >= 32) & (np.arange(96) < 64), 80.0, 20.0)
    x = np.tile(day, 14)[:, None] + rng.normal(0, 1, (14 * 96, len(PATHS)))
    begin = -(START // SECOND % 86_400)  # at midnight
    assert len(active(run(detector, x[: 12 * 96], begin, 900))) <= 20
    last = x[12 * 96 : 12 * 96 + 52].copy()
    last[44:, 1] -= 60
    found = run(detector, last, begin + 12 * 86_400, 900)
    assert "season broken" in kinds(found, "b")


@pytest.mark.parametrize("begun_first", [1, 3])
@pytest.mark.parametrize(
    "paths",
    [PATHS[1:], ["press/new", *PATHS], PATHS[::-1], [path for path in PATHS if path != "press/b"], ["press/d", "oven/g"]],
    ids=["one less", "one more", "turned round", "without the first to begin", "few left"],
)
def test_an_incident_of_several_tags_goes_on_when_the_configuration_gets_or_loses_others(
    learnt: bytes, paths: list[str], begun_first: int
) -> None:
    detector = anomaly()
    detector.load(learnt)
    x = noise(120, seed=2)
    x[:60, begun_first] += 20
    x[1:60, 4 - begun_first] += 20
    told = active(run(detector, x[:20], LEARNT))[-1]
    assert sorted(told.tags) == ["b", "d"]
    after = plugin.build(plugin.options.model_validate({"on": "*/*", **FAST}), detector_context(plugin, paths))
    after.load(detector.dump())
    columns = [PATHS.index(path) if path in PATHS else 0 for path in paths]
    found = run(after, x[20:, columns], LEARNT + 20)
    said = {one.condition for one in active(found)}
    both = {"press/b", "press/d"} <= set(paths)
    assert said == {told.condition if both or f"press/{told.condition[0]}" in paths else "d_anomaly"}
    last = {one.condition: one for one in found if one.condition in said}
    assert {one.state for one in last.values()} == {State.OVER}
    assert all(one.t_ns > START + (LEARNT + 60) * SECOND for one in last.values())
