"""Each trouble of a sensor is told once, in its own words; what is ordinary is not told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.contract import BAD, Batch, ConfigError, Detector, DetectorContext, Finding, Learner, Quality, State, Tag, TagOptions
from models.sensor import plugin

START = 1_800_000_000 * 10**9
SECOND = 10**9
OPTIONS = {"on": "*/*", "window": "20s", "warm_up": "100s", "warm_up_readings": 100, "memory": "1h"}
Floats = np.ndarray[Any, np.dtype[np.float64]]


def sensor(*tags: dict[str, Any]) -> Detector:
    given = tuple(Tag(i, "m", f"t{i}", TagOptions.model_validate(options)) for i, options in enumerate(tags or ({}, {}, {})))
    return plugin.build(plugin.options.model_validate(OPTIONS), DetectorContext(name="s", tags=given))


def noise(n: int = 300, k: int = 3, seed: int = 1) -> Floats:
    return 50 + np.random.default_rng(seed).normal(0, 1, (n, k))


def run(detector: Detector, x: Floats, quality: Any = None, *, start: int = 0) -> list[Finding]:
    """Rows of x once a second; what is infinite is not given."""
    n, k = x.shape
    at = np.isinf(x).ravel()
    q = np.zeros((n, k), dtype=np.uint8) if quality is None else quality
    t_ns = START + np.repeat(start + np.arange(n), k) * SECOND
    return detector.process(Batch.of(np.tile(np.arange(k), n)[~at], t_ns[~at], x.ravel()[~at], q.ravel()[~at]))


def seconds(t_ns: int) -> int:
    return (t_ns - START) // SECOND


def told(found: list[Finding]) -> list[tuple[str, str]]:
    """Conditions that began, and their titles."""
    return [(f.condition, f.title) for f in found if f.state is State.ACTIVE]


def test_ordinary_noise_steps_and_ramps_are_silent() -> None:
    x = noise()
    x[200:, 1] += 30
    x[:, 2] += np.arange(300) / 10
    assert told(run(sensor(), x)) == []


def test_one_bad_reading_in_a_hundred_is_silent_and_a_sensor_that_is_bad_half_of_the_time_is_one_incident() -> None:
    x, q = noise(), np.zeros((300, 3), dtype=np.uint8)
    q[::100, 0] = BAD
    q[150:250:2, 1] = Quality.BAD_NOT_FINITE
    x[q >= BAD] = np.nan
    found = run(sensor(), x, q)
    assert [condition for condition, _ in told(found)] == ["t1_sensor_bad"]
    assert "m: sensor t1 gives no usable value: 2" in told(found)[0][1]
    over = [f for f in found if f.condition == "t1_sensor_bad" and f.state is State.OVER and seconds(f.t_ns) > 150]
    assert [seconds(f.t_ns) for f in over] == [248 + 20]


def test_what_is_read_once_in_an_hour_needs_three_bad_readings() -> None:
    detector = sensor({})
    q = [0, 0, BAD, 0, 0, BAD, BAD, BAD]
    found = detector.process(Batch.of([0] * 8, START + np.arange(8) * 3_600 * SECOND, np.where(np.array(q) > 0, np.nan, 1.0), q))
    assert [seconds(f.t_ns) // 3_600 for f in found if f.state is State.ACTIVE] == [6]


def test_out_of_range_has_its_own_words() -> None:
    x, q = noise(), np.zeros((300, 3), dtype=np.uint8)
    x[200:, 0], q[200:, 0] = np.nan, Quality.BAD_RANGE
    ((condition, title),) = told(run(sensor({"range": (0, 100), "unit": "bar"}, {}, {}), x, q))
    assert condition == "t0_sensor_out_of_range"
    assert "is out of its range 0 to 100 bar in 2" in title


def test_stuck_after_is_told_at_once_with_the_value_and_since_when() -> None:
    x, q = noise(300, 1), np.zeros((300, 1), dtype=np.uint8)
    x[100:] = 42.1
    x[150:], q[150:] = np.nan, Quality.BAD_STUCK
    found = run(sensor({"stuck_after": "49s", "unit": "degC"}), x, q)
    assert told(found) == [("t0_sensor_stuck", "m: sensor t0 is stuck at 42.1 degC for 50 s")]
    assert [seconds(f.since_ns) for f in found if f.state is State.ACTIVE] == [100]


def stuck(columns: list[int], until: int = 250, value: float = 51.5) -> Floats:
    x = noise()
    x[150:until, columns] = value
    return x


def test_a_gauge_that_used_to_move_is_stuck_once_and_well_again() -> None:
    found = run(sensor(), stuck([0]))
    assert told(found) == [("t0_sensor_stuck", "m: sensor t0 is stuck at 51.5 for 60 s")]
    assert [seconds(f.t_ns) for f in found if f.condition == "t0_sensor_stuck"] == [20, 210, 269]


@pytest.mark.parametrize(("columns", "value"), [([0, 1], 51.5), ([0, 1, 2], 51.5), ([0], 0.0)])
def test_a_machine_at_rest_and_what_reads_nothing_is_not_stuck(columns: list[int], value: float) -> None:
    assert told(run(sensor(), stuck(columns, value=value))) == []


@pytest.mark.parametrize("kind", ["counter", "state"])
def test_counters_and_states_may_stand_still(kind: str) -> None:
    assert told(run(sensor({"kind": kind}, {}, {}), stuck([0]))) == []


def test_a_tag_that_never_moves_at_each_reading_is_not_stuck() -> None:
    x = noise(450)
    x[:, 0] = np.repeat(np.arange(150), 3)
    x[250:, 0] = 7
    assert told(run(sensor(), x)) == []


def test_moves_that_collapse_are_told_as_quiet() -> None:
    x = noise(500)
    x[250:, 0] = 50 + (x[250:, 0] - 50) / 1_000
    ((condition, title),) = told(run(sensor(), x))
    assert condition == "t0_sensor_quiet"
    assert "hardly moves" in title


def test_a_resolution_that_coarsens_is_told() -> None:
    x = np.round(noise(500) * 10) / 10
    x[250:, 0] = np.round(x[250:, 0])
    found = told(run(sensor(), x))
    assert found == [("t0_sensor_coarse", "m: sensor t0 has become coarse: it resolves 1, usually 0.1")]


def test_switching_between_two_levels_is_not_coarse() -> None:
    x = np.round(noise(500) * 10) / 10
    x[250:, 0] = np.random.default_rng(3).integers(0, 2, 250) * 40.0
    assert "t0_sensor_coarse" not in dict(told(run(sensor(), x)))


def test_spikes_of_one_sample_are_counted_and_steps_are_not() -> None:
    x = noise()
    x[[200, 210, 220, 230], 0] += 300
    x[200:205, 1] += 300
    x[250:, 1] += 300
    ((condition, title),) = told(run(sensor(), x))
    assert condition == "t0_sensor_spikes"
    assert title == "m: sensor t0 has spikes of one sample: about 3 in the last 60 min"


def test_withheld_spikes_count_when_the_value_is_back() -> None:
    x, q = noise(), np.zeros((300, 3), dtype=np.uint8)
    rows = [210, 220, 230, 240]
    x[rows, 0], q[rows, 0] = np.nan, Quality.BAD_SPIKE
    x[rows, 1], q[rows, 1] = np.nan, Quality.BAD_SPIKE
    for row in rows:
        x[row + 1 :, 1] += 100  # a true step, of which the stage withheld the first reading
    assert [condition for condition, _ in told(run(sensor({"max_step": 20}, {"max_step": 20}, {}), x, q))] == ["t0_sensor_spikes"]


def test_a_counter_that_steps_back_is_told_and_one_that_begins_anew_is_not() -> None:
    x = np.repeat(np.arange(300.0)[:, None] + 1_000, 2, axis=1)
    x[[210, 220, 230, 240], 0] -= 100
    for row in (210, 220, 230, 240):
        x[row:, 1] -= x[row, 1]
    assert [c for c, _ in told(run(sensor({"kind": "counter"}, {"kind": "counter"}), x))] == ["t0_sensor_spikes"]


def test_a_missing_tag_is_a_gap_and_a_silent_machine_is_none() -> None:
    x = noise(420)
    x[150:230, 0] = np.inf
    x[260:400] = np.inf
    found = run(sensor(), x)
    assert told(found) == [("t0_sensor_gap", "m: sensor t0 has given no reading for 61 s, usually one every 1 s")]
    assert [seconds(f.t_ns) for f in found if f.condition == "t0_sensor_gap"][1:] == [210, 250]


def test_a_tag_that_reports_changes_only_has_no_gap() -> None:
    x = noise(900)
    x[np.random.default_rng(4).random(900) > 0.1, 0] = np.inf
    x[600:, 0] = np.inf
    assert told(run(sensor(), x)) == []


def test_times_that_go_back_are_the_machines_trouble_and_one_late_reading_is_none() -> None:
    detector = sensor()
    run(detector, noise(300))
    assert told(run(detector, noise(1), start=200)) == []
    found = run(detector, noise(100), start=100)
    assert [condition for condition, _ in told(found)] == ["sensor_clock_back"]
    assert any(f.condition == "sensor_clock_back" and f.state is State.OVER for f in run(detector, noise(100), start=300))


def test_bad_input_is_silent_bounded_and_makes_no_warning() -> None:
    """Warnings are errors here."""
    detector = sensor()
    run(detector, noise(300))
    size = len(detector.dump())
    values = np.tile([np.nan, np.inf, -np.inf, 1e300, -1e300, 1e308, 5e-324, 0.0, 1e-300], (60, 1))
    q = np.where(np.isfinite(values), 0, Quality.BAD_NOT_FINITE)
    detector.process(Batch.of(np.zeros(540), START + (300 + np.arange(540)) * SECOND, values.ravel(), q.ravel()))
    n = 100_000
    detector.process(Batch.of(np.ones(n), np.full(n, START + 900 * SECOND), np.arange(n)))
    detector.process(Batch.of([1, 1], [0, 2**62], [1.0, 1.0], [Quality.BAD_TIME] * 2))
    assert len(detector.dump()) == size
    unit_changed = [condition for condition, _ in told(run(detector, noise(30, seed=2) * 1e6, start=1_000))]
    assert len(unit_changed) == len(set(unit_changed)) <= 3


def test_it_learns_forgets_and_adopts() -> None:
    detector = sensor({}, {}, {"kind": "state"})
    assert isinstance(detector, Learner)
    run(detector, noise(51))
    assert [(entry.tag, round(entry.share, 2)) for entry in detector.learning()] == [("t0", 0.5), ("t1", 0.5)]
    run(detector, stuck([0], until=300)[51:], start=51)
    assert [(entry.tag, entry.share, entry.alarms) for entry in detector.learning()] == [("t0", 1.0, 1), ("t1", 1.0, 0)]
    detector.adopt("m", frozenset({"t0"}))
    detector.forget("m", frozenset({"t1"}))
    assert [(entry.tag, entry.share) for entry in detector.learning()] == [("t0", 1.0), ("t1", 0.0)]
    x = np.full((50, 3), 51.5)
    x[:, 1:] = noise(50, 2)
    assert "t0_sensor_stuck" not in dict(told(run(detector, x, start=300)))


def test_waveforms_alone_are_an_error_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match="gauge, counter or state"):
        sensor({"kind": "waveform"})


def test_it_has_an_opinion_on_what_each_kind_of_tag_can_have() -> None:
    """An incident of a gauge that is a state now is closed by the configuration: nothing else would."""
    gauge, state = (
        DetectorContext(name="s", tags=(Tag(0, "m", "t0", TagOptions.model_validate({"kind": kind})),)) for kind in ("gauge", "state")
    )
    conditions = ["t0_sensor_quiet", "t0_sensor_stuck", "sensor_clock_back", "t1_sensor_stuck", "t0_high"]
    assert [plugin.tells(None, gauge, one) for one in conditions] == [True, True, True, False, False]
    assert [plugin.tells(None, state, one) for one in conditions] == [False, True, True, False, False]


def test_whatever_it_says_it_has_an_opinion_on() -> None:
    tags = tuple(Tag(i, "m", f"t{i}", TagOptions()) for i in range(3))
    x = noise(900)
    x[300:600, 1] = x[300, 1]
    told = {finding.condition for finding in run(sensor(), x)}
    assert "t1_sensor_stuck" in told
    assert all(plugin.tells(None, DetectorContext(name="s", tags=tags), one) for one in told)
