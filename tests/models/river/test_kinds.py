"""Pipelines, forecasters and regressions; what people tell a model, and what it shows."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from gateway.contract import ConfigError, Detector, Finding, Frame, Learner, Rationed, Scoring, State
from gateway.testkit.contexts import detector_context
from models.river import plugin

START = 1_800_000_000 * 10**9
NAMES = ("temperature", "pressure", "current")
TREES = {
    "model": "anomaly.HalfSpaceTrees",
    "parameters": {"n_trees": 8, "height": 5, "window_size": 100, "seed": 42},
    "smooth_rows": 19,
    "false_alarms_per_week": 1000,
}
SNARIMAX = {"model": "time_series.SNARIMAX", "parameters": {"p": 3, "d": 0, "q": 0}}
SEASONAL = {"model": "time_series.HoltWinters", "parameters": {"alpha": 0.1, "beta": 0.01, "gamma": 0.2, "seasonality": 19}}
QUICK = {"warm_up_rows": 400, "remember": 500, "false_alarms_per_week": 100}
KINDS: dict[str, dict[str, Any]] = {
    "a pipeline": {"model": ["preprocessing.StandardScaler", {"anomaly.OneClassSVM": {"nu": 0.1}}], "smooth_rows": 19},
    "nearest neighbours": {
        "model": [{"anomaly.LocalOutlierFactor": {"n_neighbors": 3, "engine": {"neighbors.LazySearch": {"window_size": 30}}}}],
        "scale": "standard",
    },
    "a support vector machine": {"model": "anomaly.OneClassSVM", "scale": "standard", "smooth_rows": 19},
    "a forecaster": SNARIMAX,
    "a seasonal forecaster": SEASONAL,
    "regressions of each tag": {"model": "linear_model.LinearRegression"},
    "a regression of one tag": {"model": "linear_model.BayesianLinearRegression", "predict": "pressure"},
    "a regression behind a scaler": {
        "model": ["preprocessing.StandardScaler", {"linear_model.LinearRegression": {"l2": 0.001}}],
        "predict": "pressure",
        "false_alarms_per_week": 1,
    },
}
Floats = np.ndarray[Any, np.dtype[np.float64]]


def river(**options: Any) -> Detector:
    tags = [f"press-07/{name}" for name in NAMES]
    return plugin.build(plugin.options.model_validate({"on": "*/*", **QUICK, **options}), detector_context(plugin, tags))


def together(n: int, seed: int = 1) -> Floats:
    rng, load = np.random.default_rng(seed), np.sin(np.arange(n) * 2 * np.pi / 19)
    return np.column_stack([50 + 3 * load, 200 + 5 * load, 12 + load]) + rng.normal(0, [0.5, 1.0, 0.2], (n, 3))


def frame(x: Floats, rows: slice = slice(None)) -> Frame:
    t_ns = (START + np.arange(len(x), dtype=np.int64) * 10**9)[rows]
    return Frame(machine="press-07", names=NAMES, tags=np.arange(3, dtype=np.int32), t_ns=t_ns, x=x[rows])


def at(finding: Finding) -> int:
    return (finding.t_ns - START) // 10**9


def active(found: list[Finding]) -> list[int]:
    return [at(f) for f in found if f.state is State.ACTIVE]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_finds_a_fault_and_nothing_before(kind: str) -> None:
    x = together(800)
    x[700:760, 1] -= 60
    found = river(**KINDS[kind]).process(frame(x))
    began = active(found)
    assert began
    assert 700 <= began[0] < 740
    first = next(f for f in found if f.state is State.ACTIVE)
    assert first.tags[0] == "pressure"
    assert first.explanation["times_diverged"] == 0


@pytest.mark.parametrize("kind", ["a forecaster", "a regression of one tag"])
def test_what_was_expected_is_told_in_the_units_of_the_tag(kind: str) -> None:
    x = together(750)
    x[700:, 1] -= 60
    first = next(f for f in river(**KINDS[kind]).process(frame(x)) if f.state is State.ACTIVE)
    assert isinstance(first.explanation["expected"], dict)
    assert first.explanation["expected"]["pressure"] == pytest.approx(200, abs=10)
    assert set(first.explanation["expected"]) == ({"pressure"} if "predict" in KINDS[kind] else set(NAMES))
    assert first.explanation["times_the_usual_error"]["pressure"] > 5  # type: ignore[index, call-overload, operator]


def test_a_forecaster_catches_up_with_a_level_that_stays() -> None:
    x = together(1_000)
    x[700:, 1] -= 60
    found = river(**SNARIMAX).process(frame(x))
    assert active(found) == [active(found)[0]]
    assert found[-1].state is State.OVER
    assert at(found[-1]) < 900


def test_a_season_is_kept_over_rows_that_did_not_come() -> None:
    """Seven of nineteen are missing: a forecaster that does not know would be wrong by a third of a season ever after."""
    x = together(800)
    keep = np.delete(np.arange(800), slice(600, 607))
    whole, gap = river(**SEASONAL), river(**SEASONAL)
    whole.process(frame(x))
    found = gap.process(Frame(**{**_fields(frame(x)), "t_ns": frame(x).t_ns[keep], "x": x[keep]}))
    assert active(found) == []
    one, other = (d._members["press-07"]._scorer.next() for d in (whole, gap))  # type: ignore[attr-defined]
    np.testing.assert_allclose(one, other, atol=1.0)


def _fields(item: Frame) -> dict[str, Any]:
    return {name: getattr(item, name) for name in Frame.__slots__}


def test_after_a_gap_longer_than_it_remembers_a_forecaster_begins_anew() -> None:
    detector = river(**SNARIMAX)
    detector.process(frame(together(500)))
    assert isinstance(detector, Learner)
    assert detector.learning()[0].share == 1.0
    x = together(1_200)
    detector.process(frame(x, slice(1_100, 1_140)))
    assert detector.learning()[0].share == 0.1


@pytest.mark.parametrize("value", [1e300, -1e300, 1e99, np.inf])
@pytest.mark.parametrize("kind", ["a forecaster", "a seasonal forecaster", "regressions of each tag", "a pipeline"])
@pytest.mark.filterwarnings("error")
def test_values_that_are_no_measurements_are_survived(kind: str, value: float) -> None:
    x = together(300)
    x[100:250:50, 1] = value
    detector = river(warm_up_rows=100, **KINDS[kind])
    assert all(np.isfinite(f.score) for f in detector.process(frame(x)))
    again = river(warm_up_rows=100, **KINDS[kind])
    again.load(detector.dump())


def test_a_model_whose_numbers_run_away_begins_anew() -> None:
    """A rate of learning of 5 makes the weights grow without end."""
    wild = {"model": "linear_model.LinearRegression", "parameters": {"optimizer": {"optim.SGD": {"lr": 1e6}}, "clip_gradient": 1e300}}
    detector = river(warm_up_rows=100, **wild)
    found = detector.process(frame(together(600)))
    assert detector._members["press-07"]._diverged > 0  # type: ignore[attr-defined]
    assert active(found) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"model": "anomaly.HalfSpaceTrees", "parameters": {"n_trees": 25, "height": 15}}, "377 MB"),
        ({"model": "anomaly.LocalOutlierFactor", "parameters": {"n_neighbors": "many"}}, "cannot work|refuses"),
        ({"model": "time_series.SNARIMAX", "parameters": {"p": 1}}, "refuses its parameters"),
        ({"model": "time_series.HoltWinters", "parameters": {"alpha": "high"}}, "cannot work|refuses"),
        ({"model": "anomaly.LODA", "parameters": {"n_bins": {"os.System": {}}}}, "has no model 'os.System'"),
        ({"model": "anomaly.LODA", "parameters": {"n_bins": [{"subprocess.Popen": {"args": "ls"}}]}}, "has no model"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_built(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        river(**options)


def test_nothing_named_in_parameters_is_imported() -> None:
    sys.modules.pop("antigravity", None)
    with pytest.raises(ConfigError):
        river(model="anomaly.LODA", parameters={"n_bins": {"antigravity.Fly": {}}})
    assert "antigravity" not in sys.modules


def test_learning_shows_how_far_it_is_and_how_often_it_alarmed() -> None:
    x, detector = together(800), river(**TREES)
    x[700:760, 1] -= 60
    assert isinstance(detector, Learner)
    detector.process(frame(x, slice(0, 119)))
    (told,) = detector.learning()
    assert (told.machine, told.tag, told.alarms) == ("press-07", "", 0)
    assert told.share == pytest.approx(0.25)
    found = detector.process(frame(x, slice(119, None)))
    assert detector.learning()[0].share == 1.0
    assert detector.learning()[0].alarms == len(active(found)) == 1
    again = river(**TREES)
    again.load(detector.dump())
    assert isinstance(again, Learner)
    assert again.learning() == detector.learning()


def test_after_a_repair_it_forgets_and_an_open_alarm_ends_with_the_first_opinion() -> None:
    x, detector = together(1_600), river(**TREES)
    x[700:, 1] -= 60
    assert isinstance(detector, Learner)
    assert active(detector.process(frame(x, slice(0, 800))))
    detector.forget("press-08", frozenset())
    detector.forget("press-07", frozenset({"speed"}))
    assert detector.learning()[0].share == 1.0
    detector.forget("press-07", frozenset({"pressure"}))
    assert detector.learning()[0].share == 0.0
    found = detector.process(frame(x, slice(800, None)))
    assert [f.state for f in found] == [State.OVER]
    assert at(found[0]) >= 800 + 400


def test_what_is_in_alarm_is_adopted_at_once_when_told_so_also_after_a_restart() -> None:
    x, detector = together(800), river(**TREES)
    x[700:, 1] -= 60
    assert isinstance(detector, Learner)
    detector.adopt("press-07", frozenset())  # nothing is in alarm: nothing happens
    detector.process(frame(x, slice(0, 760)))
    detector.adopt("press-07", frozenset())
    again = river(**TREES)
    again.load(detector.dump())
    found = again.process(frame(x, slice(760, None)))
    assert [(f.state, at(f), f.explanation["accepted"]) for f in found] == [(State.OVER, 760, True)]


def test_a_drift_model_forgets_one_tag() -> None:
    x = together(1_500)
    x[900:, :2] += 30
    detector = river(model="drift.ADWIN", scale="standard")
    assert isinstance(detector, Learner)
    detector.process(frame(x, slice(0, 900)))
    detector.forget("press-07", frozenset({"temperature"}))
    assert [told.share for told in detector.learning()] == [0.0, 1.0, 1.0]
    again = river(model="drift.ADWIN", scale="standard")
    again.load(detector.dump())
    found = again.process(frame(x, slice(900, None)))
    assert {f.key for f in found} == {"pressure"}
    assert found[0].explanation["direction"] == "up"
    assert found[0].title.startswith("press-07: pressure has drifted: ")
    assert isinstance(again, Learner)
    assert [told.alarms > 0 for told in again.learning()] == [False, True, False]


def test_scores_are_shown_for_every_row_and_change_nothing() -> None:
    x, seen = together(800), list[tuple[str, int, float]]()
    x[700:760, 1] -= 60
    x[500, 0] = np.nan
    plain, shown = river(**TREES), river(**TREES)
    assert isinstance(shown, Scoring)
    shown.show(lambda paths, t_ns, scores: seen.extend(zip(paths, t_ns.tolist(), scores.tolist(), strict=True)))
    assert shown.process(frame(x)) == plain.process(frame(x))
    assert shown.dump() == plain.dump()
    scores = {(t - START) // 10**9: score for path, t, score in seen if path == "press-07"}
    assert set(scores) == set(range(800)) - {500}
    assert all(scores[i] == 0 for i in range(400))
    assert max(scores, key=scores.__getitem__) >= 700
    shown.show(None)
    shown.process(frame(together(801), slice(800, 801)))
    assert len(seen) == 799


def test_rows_over_the_budget_are_told_in_the_next_finding() -> None:
    x, detector = together(800), river(**TREES)
    x[700:760, 1] -= 60
    assert isinstance(detector, Rationed)
    detector.process(frame(x, slice(0, 600)))
    detector.skip(frame(x, slice(600, 650)))
    again = river(**TREES)
    again.load(detector.dump())
    found = again.process(frame(x, slice(650, None)))
    assert next(f for f in found if f.state is State.ACTIVE).explanation["rows_over_budget"] == 50


def test_scipy_is_imported_by_the_models_that_use_it() -> None:
    """70 MB of a gateway's memory."""
    probe = f"""
import sys
import numpy as np
from gateway.contract import Frame
from gateway.testkit.contexts import detector_context
from models.river import plugin
x = np.random.default_rng(1).normal(size=(600, 1)) + np.repeat([0, 50], 300)[:, None]
t_ns = np.arange(600, dtype=np.int64) * 10**9 + {START}
for model in ("anomaly.HalfSpaceTrees", "drift.KSWIN"):
    options = plugin.options.model_validate({{"on": "*/*", "model": model, "parameters": {{}}, "warm_up_rows": 200}})
    river = plugin.build(options, detector_context(plugin, ["m/a"]))
    found = river.process(Frame(machine="m", names=("a",), tags=np.zeros(1, dtype=np.int32), t_ns=t_ns, x=x))
    print([each.condition for each in found][:1], "scipy.stats" in sys.modules)
import scipy.stats
print(type(scipy.stats).__name__, scipy.stats.norm.cdf(0.0))
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["['half_space_trees_anomaly'] False", "['drift_detected'] True", "module 0.5"]
