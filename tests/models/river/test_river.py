import inspect
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from gateway.contract import ConfigError, Detector, DetectorContext, Finding, Frame, Severity, State, StateError, Tag, TagOptions, Tunable
from gateway.testkit.checks.findings import changes
from gateway.testkit.contexts import detector_context
from models.river import plugin
from models.river.calibration import STRONGEST, fit, rarity
from models.river.catalogue import models
from models.river.declared import declared
from models.river.scaling import Scaling

START = 1_800_000_000 * 10**9
SECOND = 10**9
NAMES = ("temperature", "pressure", "current")
TREES = {"model": "anomaly.HalfSpaceTrees", "parameters": {"n_trees": 8, "height": 5, "window_size": 100, "seed": 42}}
QUICK = {"warm_up_rows": 400, "remember": 400, "smooth_rows": 19}  # a cycle of `together`
Floats = np.ndarray[Any, np.dtype[np.float64]]


def river(machines: tuple[str, ...] = ("press-07",), **options: Any) -> Detector:
    tags = [f"{machine}/{name}" for machine in machines for name in NAMES]
    return plugin.build(plugin.options.model_validate({"on": "*/*", **TREES, **QUICK, **options}), detector_context(plugin, tags))


def together(n: int, seed: int = 1) -> Floats:
    """Three tags that follow one load."""
    rng, load = np.random.default_rng(seed), np.sin(np.arange(n) / 3)
    return np.column_stack([50 + 3 * load, 200 + 5 * load, 12 + load]) + rng.normal(0, [0.5, 1.0, 0.2], (n, 3))


def frame(x: Floats, *, start: int = 0, machine: str = "press-07") -> Frame:
    t_ns = START + (start + np.arange(len(x), dtype=np.int64)) * SECOND
    return Frame(machine=machine, names=NAMES, tags=np.arange(3, dtype=np.int32), t_ns=t_ns, x=x)


def at(finding: Finding) -> int:
    return (finding.t_ns - START) // SECOND


def test_a_pressure_that_is_lost_is_found_and_its_end_is_told() -> None:
    x = together(1_300)
    x[1_000:1_200, 1] -= 60
    found = [f for f in river(false_alarms_per_week=100).process(frame(x)) if at(f) >= 1_000]
    assert [f.state for f in found] == [State.ACTIVE, State.OVER]
    assert at(found[0]) < 1_030
    assert 1_200 <= at(found[1]) < 1_230
    assert found[0].condition == "half_space_trees_anomaly"
    assert found[0].tags[0] == "pressure"
    assert found[0].score > found[0].explanation["threshold"]


@pytest.mark.parametrize("minutes", [40, pytest.param(120, marks=pytest.mark.long)])
def test_normal_rows_are_silent(minutes: int) -> None:
    found = river(warm_up_rows=1_000, remember=2_000).process(frame(together(60 * minutes)))
    assert [f.state for f in found] == [State.OVER]


def test_rows_with_a_hole_are_neither_scored_nor_learnt() -> None:
    x = together(900)
    holes = np.insert(x, range(0, 900, 9), np.nan, axis=0)
    holes[5, 1] = np.inf
    clean, dirty = river(), river()
    clean.process(frame(np.delete(x, 4, axis=0)))
    dirty.process(frame(holes))
    one, other = (d._members["press-07"].arrays() for d in (clean, dirty))  # type: ignore[attr-defined]
    for name in ("rows", "scores", "scaling"):
        np.testing.assert_array_equal(one[name], other[name])
    assert other["numbers"][5] == 101


def test_half_space_trees_continue_exactly_where_they_were() -> None:
    """Although they have learnt far more than is remembered: scores agree to the last digit."""
    x = together(1_700)
    x[1_500:1_600, 1] -= 60
    whole, first, second = river(), river(), river()
    first.process(frame(x[:1_337]))
    second.load(first.dump())
    second.process(frame(x[1_337:], start=1_337))
    expected = whole.process(frame(x))
    one, other = (d._members["press-07"].arrays() for d in (whole, second))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(one["scores"], other["scores"])
    np.testing.assert_array_equal(one["rows"], other["rows"])
    assert any(f.state is State.ACTIVE for f in expected)


@pytest.mark.parametrize("model", ["anomaly.OneClassSVM", "anomaly.LODA"])
def test_other_models_continue_nearly_where_they_were(model: str) -> None:
    options = {"model": model, "parameters": {}, "scale": "standard", "false_alarms_per_week": 100}
    x = together(900)
    x[800:, 1] -= 100
    whole, first, second = river(**options), river(**options), river(**options)
    expected = changes(whole.process(frame(x)))
    told = first.process(frame(x[:650]))
    second.load(first.dump())
    told += second.process(frame(x[650:], start=650))
    assert [c[1:4] for c in changes(told)] == [c[1:4] for c in expected]


def test_an_anomaly_that_lasts_is_accepted_and_learning_begins_anew() -> None:
    x = together(2_000)
    x[1_000:, 1] -= 60
    found = [f for f in river(accept_after="5m", false_alarms_per_week=100).process(frame(x)) if at(f) >= 1_000]
    accepted = next(f for f in found if f.explanation["accepted"])
    assert accepted.state is State.OVER
    assert at(accepted) - at(found[0]) == 300
    assert not [f for f in found if f.state is State.ACTIVE and at(f) > at(accepted)]


def test_machines_have_models_of_their_own() -> None:
    detector = river(("press-07", "press-08"), false_alarms_per_week=100)
    bad = together(1_100)
    bad[1_000:, 1] -= 60
    found = [*detector.process(frame(together(1_100))), *detector.process(frame(bad, machine="press-08"))]
    assert {f.machine for f in found if f.state is State.ACTIVE} == {"press-08"}


@pytest.mark.parametrize("model", ["drift.ADWIN", "drift.PageHinkley"])
def test_drift_is_a_fact_of_its_tag(model: str) -> None:
    x = together(1_500)
    x[1_000:, 0] += 12
    found = river(model=model, parameters={}, scale="standard").process(frame(x))
    assert {f.state for f in found} == {State.FACT}
    assert {(f.condition, f.key, f.severity) for f in found} == {("drift_detected", "temperature", Severity.INFO)}
    assert 1_000 < at(found[0]) < 1_250


def test_drift_continues_after_a_restart() -> None:
    x = together(1_500)
    x[1_000:, 0] += 12
    options = {"model": "drift.ADWIN", "parameters": {}, "scale": "standard", "remember": 2_000}
    expected = river(**options).process(frame(x))
    first, second = river(**options), river(**options)
    told = first.process(frame(x[:1_010]))
    second.load(first.dump())
    assert changes(told + second.process(frame(x[1_010:], start=1_010))) == changes(expected)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"model": "anomaly.HalfSpaceTree", "parameters": {}}, "did you mean 'anomaly.HalfSpaceTrees'"),
        ({"model": "anomaly.GaussianScorer", "parameters": {}}, "has no model"),
        ({"model": "drift.NoDrift", "parameters": {}}, "has no model"),
        ({"parameters": {"n_tree": 3}}, "did you mean 'n_trees'"),
        ({"model": "drift.ADWIN", "parameters": {"delta": "much"}}, "refuses|has no"),
    ],
)
def test_what_river_does_not_have_is_named(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        river(**options)


@pytest.mark.parametrize("model", ["os.System", "anomaly", "anomaly.hst.HalfSpaceTrees", "anomaly.__class__"])
def test_a_name_outside_river_is_refused_before_anything_is_imported(model: str) -> None:
    with pytest.raises(ValidationError):
        plugin.options.model_validate({"on": "*/*", "model": model})


def test_state_of_another_model_or_other_tags_is_refused() -> None:
    saved = river().dump()
    with pytest.raises(StateError, match="HalfSpaceTrees"):
        river(model="anomaly.LODA", parameters={}).load(saved)
    other = plugin.build(plugin.options.model_validate({"on": "*/*", **TREES, **QUICK}), detector_context(plugin, ["press-07/speed"]))
    with pytest.raises(StateError, match="temperature"):
        other.load(saved)


def test_a_machine_that_gets_a_tag_begins_anew_and_no_other_one() -> None:
    """Nor does one whose tags stand in another order now."""
    before = river(("press-07", "press-08"))
    for name in ("press-07", "press-08"):
        before.process(frame(together(600), machine=name))
    tags = [*(f"press-07/{name}" for name in reversed(NAMES)), *(f"press-08/{name}" for name in (*NAMES, "speed"))]
    after: Any = plugin.build(plugin.options.model_validate({"on": "*/*", **TREES, **QUICK}), detector_context(plugin, tags))
    after.load(before.dump())
    assert [(one.machine, one.share) for one in after.learning()] == [("press-07", 1.0), ("press-08", 0.0)]
    rest = frame(together(700)[600:], start=600)
    assert [one.score for one in after.process(replace(rest, names=NAMES[::-1], x=rest.x[:, ::-1]))][1:] == [
        one.score for one in before.process(rest)
    ]
    assert after._members["press-07"].rare == before._members["press-07"].rare  # type: ignore[attr-defined]


@pytest.mark.parametrize("learnt", [150, 455, 503, 509])
def test_a_shorter_warm_up_judges_when_there_are_scores_to_compare_with(learnt: int) -> None:
    """By the longer one nothing was scored yet, or hardly anything."""
    before, after = river(warm_up_rows=1_000), river(warm_up_rows=200, false_alarms_per_week=100)
    x = together(1_300)
    x[1_000:1_200, 1] -= 60
    before.process(frame(x[:learnt]))
    after.load(before.dump())
    first, began, over = after.process(frame(x[learnt:], start=learnt))
    assert (first.state, began.state, over.state) == (State.OVER, State.ACTIVE, State.OVER)
    assert learnt < at(first) <= max(learnt, 200) + 130
    assert 1_000 <= at(began) < 1_030


def test_late_rows_are_left_out() -> None:
    detector = river()
    detector.process(frame(together(10)))
    before = detector.dump()
    detector.process(replace(frame(together(5) + 99), t_ns=START + np.arange(5, dtype=np.int64) * SECOND))
    assert detector.dump() == before


def test_what_is_read_in_the_source_of_river_is_what_river_has() -> None:
    assert declared() == {name: tuple(inspect.signature(kind).parameters) for name, kind in models().items()}


def test_check_knows_the_models_without_importing_river() -> None:
    probe = """
import sys
from gateway.testkit.contexts import detector_context
from gateway import registry
plugin = registry.detector("river")
try:
    plugin.check(plugin.options.model_validate({"on": "*/*", "model": "anomaly.Loda"}), detector_context(plugin, ["m/a"]))
except Exception as exc:
    print(exc, "river" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("; ") == ["river has no model 'anomaly.Loda' that can be used here", "did you mean 'anomaly.LODA'? False\n"]


def test_a_watch_of_waveforms_only_is_refused() -> None:
    context = DetectorContext(name="r", tags=(Tag(0, "m", "vibration_x", TagOptions(kind="waveform")),))
    for step in (plugin.check, plugin.build):
        with pytest.raises(ConfigError, match="waveforms"):
            step(plugin.options.model_validate({"on": "*/*", **TREES}), context)


def test_minmax_puts_the_learnt_range_into_the_middle_third() -> None:
    scaling = Scaling("minmax", 2)
    for row in ([0.0, 5.0], [10.0, 5.0]):
        scaling.learn(np.array(row))
    assert scaling.scaled(np.array([0.0, 5.0])).tolist() == pytest.approx([1 / 3, 0.5])
    assert scaling.scaled(np.array([10.0, 9.0])).tolist() == pytest.approx([2 / 3, 0.5])
    assert scaling.scaled(np.array([20.0, 5.0]))[0] == pytest.approx(1.0)


def test_running_mean_and_deviation_are_those_of_the_whole() -> None:
    x, scaling = together(300), Scaling("standard", 3)
    for row in x:
        scaling.learn(row)
    expected = (x[7] - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    np.testing.assert_allclose(scaling.scaled(x[7]), expected, rtol=1e-9)


def test_rarity_of_exponential_scores_is_their_probability() -> None:
    scores = np.random.default_rng(1).exponential(1, 20_000)
    yardstick = fit(scores)
    for p in (1e-2, 1e-3, 1e-4, 1e-5):
        assert rarity(yardstick, -np.log(p)) == pytest.approx(-np.log10(p), rel=0.15)
    rising = [rarity(yardstick, v) for v in np.linspace(-5, 200, 300)]
    assert rising == sorted(rising)
    assert rising[-1] <= STRONGEST


def test_a_model_that_always_says_the_same_is_not_rare_until_it_says_more() -> None:
    yardstick = fit(np.full(500, 0.25))
    assert rarity(yardstick, 0.25) < 2
    assert rarity(yardstick, 0.26) > 6


def found_in_a_fault(
    factor: float, *, condition: str = "half_space_trees_anomaly", machine: str = "press-07", reload: bool = False
) -> list[Finding]:
    x = together(1_300)
    x[1_000:1_200, 1] -= 60
    detector = river(false_alarms_per_week=100)
    assert isinstance(detector, Tunable)
    detector.tune(machine, condition, factor)
    if reload:
        detector.load(river(false_alarms_per_week=100).dump())
    return [f for f in detector.process(frame(x)) if at(f) >= 1_000]


def test_a_factor_raises_the_threshold_of_its_machine_only() -> None:
    configured = found_in_a_fault(1.0)[0].explanation["threshold"]
    assert isinstance(configured, float)
    assert found_in_a_fault(1.1)[0].explanation["threshold"] == pytest.approx(1.1 * configured)
    assert found_in_a_fault(1.1, reload=True)[0].explanation["threshold"] == pytest.approx(1.1 * configured)
    assert found_in_a_fault(1.1, condition="other_anomaly")[0].explanation["threshold"] == configured
    assert found_in_a_fault(1.1, machine="press-08")[0].explanation["threshold"] == configured


def test_no_factor_puts_a_threshold_beyond_the_highest_score() -> None:
    from models.river.detector import River

    detector = river(false_alarms_per_week=1e-9)
    assert isinstance(detector, River)
    detector.tune("press-07", "half_space_trees_anomaly", 3.0)
    assert detector._members["press-07"]._threshold < STRONGEST  # type: ignore[attr-defined]


def test_a_drift_model_has_no_threshold_to_move() -> None:
    x = together(900)
    x[600:, 1] += 100
    plain, told = (river(model="drift.ADWIN", parameters={}) for _ in range(2))
    assert isinstance(told, Tunable)
    told.tune("press-07", "drift_detected", 3.0)
    assert told.process(frame(x)) == plain.process(frame(x))
