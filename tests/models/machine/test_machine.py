from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gateway.contract import ConfigError, Detector, Finding, Frame, Learner, Scoring, Severity, State, StateError, TagOptions, Tunable
from gateway.testkit.contexts import detector_context
from models.machine import plugin
from models.machine.detector import MachineDetector

START = 1_800_000_000 * 10**9
NAMES = ("temperature", "pressure", "current", "flow")
QUICK = {"smooth": "3s", "warm_up": "0s", "warm_up_rows": 150, "accept_after": "1h"}
Floats = np.ndarray[Any, np.dtype[np.float64]]


def machine(*, state: bool = False, **options: Any) -> MachineDetector:
    names = [*NAMES, "recipe"] if state else [*NAMES]
    more = {"state": "recipe"} if state else {}
    context = detector_context(plugin, [f"press-07/{name}" for name in names])
    detector = plugin.build(plugin.options.model_validate({"on": "*/*", **QUICK, **more, **options}), context)
    assert isinstance(detector, MachineDetector)
    return detector


def together(n: int, seed: int = 1) -> Floats:
    """Four tags that follow one load."""
    rng, load = np.random.default_rng(seed), np.sin(np.arange(n) / 3)
    gains = np.outer(load, [3.0, 5.0, 1.0, 2.0])
    return np.array([50.0, 200.0, 12.0, 30.0]) + gains + rng.normal(0, [0.5, 1.0, 0.2, 0.4], (n, 4))


def frame(x: Floats, *, start: int = 0, gap: int = 0, gap_at: int = 0) -> Frame:
    rows = start + np.arange(len(x), dtype=np.int64)
    names = (*NAMES, "recipe")[: x.shape[1]]
    t_ns = START + (rows + gap * (rows >= gap_at)) * 10**9
    return Frame(machine="press-07", names=names, tags=np.arange(x.shape[1], dtype=np.int32), t_ns=t_ns, x=x)


def at(finding: Finding) -> int:
    return (finding.t_ns - START) // 10**9


def edges(found: list[Finding]) -> list[Finding]:
    """What is told after the first opinion."""
    return found[1:]


def test_a_pressure_that_is_lost_is_told_with_what_was_expected_and_its_end() -> None:
    x = together(800)
    x[500:600, 1] -= 30
    began, over = edges(machine().process(frame(x)))
    assert (began.state, over.state) == (State.ACTIVE, State.OVER)
    assert 500 < at(began) < 510
    assert 600 <= at(over) < 630
    assert (began.condition, began.severity, began.tags[0]) == ("machine_anomaly", Severity.WARNING, "pressure")
    first = began.explanation["tags"][0]
    assert first["direction"] == "lower"
    assert first["share"] > 0.5
    low, high = first["band"]
    assert first["value"] < low < first["expected"] < high
    assert began.explanation["alarms_last_week"] == 1


def test_a_tag_that_leaves_the_others_within_its_own_band_is_told() -> None:
    """Slow enough for the mean over `smooth` to keep it, the load moves all tags; the flow stays behind."""
    rng, n = np.random.default_rng(3), 1_800
    load = np.repeat(rng.normal(0, 1, n // 20), 20)
    x = np.outer(load, [5.0, 5.0, 5.0, 5.0]) + rng.normal(0, 0.3, (n, 4))
    x[1_500:1_700, 3] = 4.0 - x[1_500:1_700, 3] * 0.3
    found = [f for f in machine(warm_up_rows=1_000).process(frame(x)) if f.state is State.ACTIVE]
    assert at(found[0]) > 1_500
    assert found[0].tags[0] == "flow"
    assert found[0].explanation["tags"][0]["kind"] == "relation"


@pytest.mark.parametrize("rows", [1_000, pytest.param(4_000, marks=pytest.mark.long)])
def test_normal_rows_are_silent(rows: int) -> None:
    found = machine(warm_up_rows=rows // 4).process(frame(together(rows)))
    assert [f.state for f in found] == [State.OVER]


def test_a_temperature_that_creeps_does_not_alarm_for_ever() -> None:
    """A swing it made in the warm-up too: it moves slowly, so it was seen few times, and has little to say."""
    x = together(1_500)
    x[:, 0] += 20 * np.sin(np.arange(1_500) / 150)
    found = machine(warm_up_rows=400).process(frame(x))
    assert not [f for f in found if f.state is State.ACTIVE]


def test_most_tags_at_once_after_a_pause_are_a_new_operating_point() -> None:
    x = together(600)
    x[250:] *= 1.4
    found = edges(machine().process(frame(x, gap=3_600, gap_at=250)))
    assert [(f.state, f.condition, f.key, f.severity) for f in found] == [
        (State.FACT, "operating_point_changed", "operating_point_changed", Severity.INFO)
    ]
    assert set(found[0].tags) == set(NAMES)


def test_each_recipe_has_its_own_normal() -> None:
    recipe = np.where(np.arange(1_200) // 100 % 2, 2.0, 1.0)
    x = np.column_stack([together(1_200) * recipe[:, None], recipe])
    x[1_150:1_190, 1] = 200.0  # normal for recipe 1, in recipe 2
    detector = machine(state=True)
    assert [f.state for f in detector.process(frame(x[:1_150]))] == [State.OVER]
    assert [(one.state, one.share) for one in detector.learning()] == [("1", 1.0), ("2", 1.0)]
    found = detector.process(frame(x[1_150:], start=1_150))
    assert [f.explanation["state"] for f in found if f.state is State.ACTIVE] == [2.0]


def test_a_ninth_recipe_and_a_missing_one_are_left_out() -> None:
    x = np.column_stack([together(900), np.repeat(np.arange(9.0), 100)])
    x[50:60, 4] = np.nan
    detector = machine(state=True)
    detector.process(frame(x))
    assert [one.state for one in detector.learning()] == [f"{number}" for number in range(8)]


def test_an_anomaly_that_lasts_is_accepted() -> None:
    x = together(600)
    x[300:, 1] -= 30
    began, over = edges(machine(accept_after="2m").process(frame(x)))
    assert began.state is State.ACTIVE
    assert (over.state, over.explanation["accepted"]) == (State.OVER, True)
    assert over.t_ns - began.since_ns == 120 * 10**9


def test_a_command_adopts_what_is_in_alarm_and_only_that() -> None:
    x = together(700)
    x[250:, 1] -= 30
    told, untold = machine(), machine()
    told.adopt("press-07", frozenset())  # not in alarm: nothing
    for detector in (told, untold):
        assert edges(detector.process(frame(x[:350])))[-1].state is State.ACTIVE
    told.adopt("press-07", frozenset({"pressure"}))
    assert [f.state for f in told.process(frame(x[350:], start=350))] == [State.OVER]
    assert untold.process(frame(x[350:], start=350)) == []


def test_before_the_first_row_nothing_is_learnt() -> None:
    """The gateway asks at its start; a PLC may be away then."""
    assert [(one.machine, one.state, one.share) for one in machine().learning()] == [("press-07", "", 0.0)]
    assert [one.share for one in machine(state=True).learning()] == [0.0]


def test_what_is_forgotten_is_learnt_anew() -> None:
    detector = machine()
    detector.process(frame(together(500)))
    assert [one.share for one in detector.learning()] == [1.0]
    detector.forget("press-07", frozenset())
    assert [one.share for one in detector.learning()] == [0.0]
    x = together(900)
    x[500:, 1] -= 30
    assert [f.state for f in detector.process(frame(x[500:], start=500))] == [State.OVER]


@pytest.mark.parametrize(("tags", "after"), [((), 150), (("pressure",), 1)], ids=["the machine", "the tag"])
def test_what_is_forgotten_in_an_alarm_is_learnt_anew_and_the_alarm_is_over_then(tags: tuple[str, ...], after: int) -> None:
    """A pump was replaced, and things are as they are now."""
    x = together(1_500)
    x[500:, 1] -= 30
    x[1_200:1_300, 0] += 30
    detector = machine()
    assert edges(detector.process(frame(x[:600])))[-1].state is State.ACTIVE
    detector.forget("press-07", frozenset(tags))
    over, began, ended = detector.process(frame(x[600:], start=600))
    assert (over.state, began.state, ended.state) == (State.OVER, State.ACTIVE, State.OVER)
    assert at(over) < 600 + after + 20
    assert 1_200 <= at(began) < 1_210


def test_a_state_that_is_not_known_yet_is_learnt_though_an_alarm_began_in_another_one() -> None:
    x = together(1_500)
    x[500:520, 1] -= 30
    recipe = np.where(np.arange(1_500) < 520, 1.0, 2.0)[:, None]
    detector = machine(state=True, settle="0s")
    began, over = edges(detector.process(frame(np.hstack([x, recipe]))))
    assert (began.state, over.state) == (State.ACTIVE, State.OVER)
    assert at(over) < 520 + 150 + 20
    assert [one.share for one in detector.learning()] == [1.0, 1.0]


def test_rows_of_an_alarm_and_those_just_before_are_not_learnt() -> None:
    """Else the second fault like the first would be less of one."""
    x = together(1_500)
    for begin in (500, 900, 1_300):
        x[begin : begin + 100, 1] -= 30
    found = [f for f in machine().process(frame(x)) if f.state is State.ACTIVE]
    assert len(found) == 3
    widths = [np.ptp(f.explanation["tags"][0]["band"]) for f in found]
    assert widths[2] < 1.3 * widths[0]


def test_one_row_far_away_is_no_process() -> None:
    x = together(800)
    x[600, 1] = 1e6
    assert [f.state for f in machine().process(frame(x))] == [State.OVER]


def test_a_missing_tag_leaves_the_others_watched() -> None:
    x = together(900)
    x[400:, 0] = np.nan
    x[600:700, 1] -= 30
    began, over = edges(machine().process(frame(x)))
    assert (began.state, began.tags[0], over.state) == (State.ACTIVE, "pressure", State.OVER)


def test_a_tag_that_never_moves_has_no_opinion() -> None:
    x = together(800)
    x[:, 3] = 7.0
    x[600:, 3] = 8.0
    assert [f.state for f in machine().process(frame(x))] == [State.OVER]


@pytest.mark.parametrize("value", [1e300, -1e300, 1e149, np.inf, 5e-324])
def test_values_of_any_size_are_survived(value: float) -> None:
    x = together(400)
    x[200:220, 2] = value
    x[230:380, 3] = value
    detector = machine()
    detector.process(frame(x))
    again = machine()
    again.load(detector.dump())


def test_scores_are_shown_for_every_row_and_change_nothing() -> None:
    x = together(800)
    x[500:600, 1] -= 30
    shown: list[tuple[str, int, float]] = []
    watched, plain = machine(), machine()
    watched.show(lambda paths, t_ns, scores: shown.extend(zip(paths, t_ns.tolist(), scores.tolist(), strict=True)))
    assert watched.process(frame(x)) == plain.process(frame(x))
    assert [t_ns for _, t_ns, _ in shown] == frame(x).t_ns.tolist()
    scores = np.array([score for _, _, score in shown])
    assert {path for path, _, _ in shown} == {"press-07"}
    assert scores[:150].max() == 0.0
    assert scores[520:600].min() > 5 > scores[160:499].max()


def test_sensitivity_and_verdicts_move_the_threshold() -> None:
    assert machine(false_alarms_per_week=100)._watches["press-07"].alarm.threshold < machine()._watches["press-07"].alarm.threshold
    detector = machine()
    before = detector._watches["press-07"].alarm.threshold
    detector.tune("press-07", "machine_anomaly", 1.2)
    detector.tune("press-07", "something_else", 1.5)
    assert detector._watches["press-07"].alarm.threshold == pytest.approx(1.2 * before)
    detector.load(machine().dump())
    assert detector._watches["press-07"].alarm.threshold == pytest.approx(1.2 * before)


def test_it_is_all_that_the_contract_knows() -> None:
    detector: Detector = machine()
    assert isinstance(detector, Learner)
    assert isinstance(detector, Scoring)
    assert isinstance(detector, Tunable)


def test_state_of_other_options_or_tags_is_refused() -> None:
    saved = machine().dump()
    with pytest.raises(StateError, match="smooth"):
        machine(smooth="4s").load(saved)
    context = detector_context(plugin, ["press-07/temperature", "press-07/flow"])
    with pytest.raises(StateError, match="temperature, pressure"):
        plugin.build(plugin.options.model_validate({"on": "*/*", **QUICK}), context).load(saved)


def test_a_machine_that_gets_a_tag_begins_anew_and_no_other_one() -> None:
    """Nor does one whose tags stand in another order now."""

    def watching(*tags: str) -> MachineDetector:
        made = plugin.build(plugin.options.model_validate({"on": "*/*", **QUICK}), detector_context(plugin, tags))
        assert isinstance(made, MachineDetector)
        return made

    before = watching(*(f"{machine}/{name}" for machine in ("press-07", "press-08") for name in NAMES))
    x = together(1000)
    for name in ("press-07", "press-08"):
        before.process(replace(frame(x[:600]), machine=name))
    after = watching(*(f"press-07/{name}" for name in reversed(NAMES)), *(f"press-08/{name}" for name in (*NAMES, "speed")))
    after.load(before.dump())
    assert [(one.machine, one.share) for one in after.learning()] == [("press-07", 1.0), ("press-08", 0.0)]
    x[800:, 1] -= 30
    rest = frame(x[600:], start=600)
    turned = replace(rest, names=rest.names[::-1], x=rest.x[:, ::-1])
    assert [(one.state, at(one), one.tags[0]) for one in edges(after.process(turned))] == [
        (one.state, at(one), one.tags[0]) for one in before.process(rest)
    ]


@pytest.mark.parametrize(
    ("tags", "options", "problem"),
    [
        (["m/a"], {}, "two tags"),
        ([f"m/a{i}" for i in range(65)], {}, "65 gauges"),
        (["m/a", "m/b"], {"state": "recipe"}, "recipe is not among the tags of m"),
    ],
)
def test_a_watch_that_cannot_be_judged_is_a_configuration_error(tags: list[str], options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        plugin.check(plugin.options.model_validate({"on": "*/*", **options}), detector_context(plugin, tags))


def test_states_and_counters_are_not_looked_at() -> None:
    context = detector_context(plugin, ["m/a", "m/b", "m/count"])
    counter = replace(context.tags[2], options=TagOptions(kind="counter"))
    detector = plugin.build(plugin.options.model_validate({"on": "*/*"}), replace(context, tags=(*context.tags[:2], counter)))
    assert detector._names == {"m": ("a", "b")}


def test_a_machine_that_has_said_nothing_yet_has_learnt_nothing() -> None:
    assert [(one.machine, one.share) for one in machine().learning()] == [("press-07", 0.0)]
