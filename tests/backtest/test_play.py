"""A recording through the pipeline: the same findings, gates and delays as in operation, in the recording's own time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import ClassVar

import numpy as np
import pytest

from gateway.backtest.cutting import judged, slices
from gateway.backtest.play import MOST_ROWS, Played, play
from gateway.backtest.scores import ScoreBook
from gateway.config import Settings
from gateway.contract import Batch, ConfigError, DetectorContext, DetectorPlugin, Finding, Frame, Item, Scores, WatchOptions
from gateway.engine.line import Line

Plant = Callable[..., Settings]
SECOND = 1_000_000_000
BEGIN = 1_000_000_000 * SECOND  # 2001: long before any gateway's clock


def temperatures(values: list[float], every: int = 10) -> Batch:
    return Batch.of(np.zeros(len(values)), BEGIN + np.arange(len(values)) * every * SECOND, values)


def told(played: Played) -> list[tuple[int, int]]:
    """Seconds after the beginning at which alarms were raised and cleared."""
    return [((a.raised_ns - BEGIN) // SECOND, (a.cleared_ns - BEGIN) // SECOND if a.cleared_ns else -1) for a in played.book.alarms]


def test_alarms_have_the_times_of_the_recording(plant: Plant) -> None:
    played = play(plant(), temperatures([20, 80, 80, 20, 20, 90]))
    assert told(played) == [(10, 30), (50, -1)]
    assert played.book.alarms[0].title.startswith("press-07: temperature")


def test_what_was_recorded_is_in_engineering_units_and_its_age_does_not_matter(plant: Plant) -> None:
    played = play(plant(), temperatures([20, 300, 20]))
    assert (told(played), played.bad) == ([], 1)


def test_hold_and_clear_after_run_in_the_recording(plant: Plant) -> None:
    watch = "{on: press-07/temperature, high: 70, hold: 15s, clear_after: 25s}"
    assert told(play(plant(watch), temperatures([20, 80, 20, 20, 80, 80, 80, 20, 20, 20, 20]))) == [(55, 95)]


def test_an_alarm_that_comes_back_within_clear_after_is_one(plant: Plant) -> None:
    watch = "{on: press-07/temperature, high: 70, clear_after: 25s}"
    assert told(play(plant(watch), temperatures([80, 20, 20, 80, 20, 20, 20, 20, 20]))) == [(0, 65)]


def test_a_gate_is_judged_as_in_operation(plant: Plant) -> None:
    settings = plant("{on: press-07/temperature, high: 70, only_when: running == 1, settle: 20s}")
    running = [0, 0, 1, 1, 1, 1, 0, 0]
    t_ns = np.repeat(BEGIN + np.arange(8) * 10 * SECOND, 2)
    readings = Batch.of([1, 0] * 8, t_ns, [value for state in running for value in (state, 80)])
    assert [raised for raised, _ in told(play(settings, readings))] == [40]


def test_a_watch_on_trial_tells_what_it_would_raise(plant: Plant) -> None:
    settings = plant("{on: press-07/temperature, high: 70, shadow: true}")
    assert told(play(settings, temperatures([20, 80, 20]))) == [(10, 20)]


def test_a_blackout_is_judged_at_each_finding(plant: Plant) -> None:
    """2001-09-09 01:46:40 UTC is a Sunday, 03:46:40 in Berlin: the recording goes on into the window, past its alarms."""
    settings = plant('{on: press-07/temperature, high: 70, blackout: "sun 03:47-03:50"}')
    assert told(play(settings, temperatures([20, 80, 20, 20, 80, 20, 80], every=5))) == [(5, 10)]


def test_however_the_recording_is_cut_the_alarms_are_the_same(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = plant("{on: press-07/temperature, high: 70, hold: 15s, clear_after: 25s}")
    readings = temperatures(np.where(np.random.default_rng(2).random(500) > 0.4, 80.0, 20.0).tolist())
    found = []
    for rows in (1, 7, MOST_ROWS):
        monkeypatch.setattr("gateway.backtest.play.ROWS", rows)
        found.append(told(play(settings, readings)))
    assert len(found[0]) > 5
    assert found[0] == found[1] == found[2]


def test_slices_hold_every_reading_once() -> None:
    rng = np.random.default_rng(1)
    t_ns = np.sort(rng.integers(0, 50 * SECOND, 1000))
    for share in (0.0, 0.5, 1.0):
        fine = (rng.random(50) < share)[t_ns // SECOND]
        cut = list(slices(t_ns, fine, 16))
        assert [row for piece in cut for row in range(piece.start, piece.stop)] == list(range(1000))
        assert all(piece.stop - piece.start <= 16 for piece in cut)


def test_a_gate_does_not_depend_on_the_cut(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = plant("{on: press-07/temperature, high: 70, only_when: running == 1, settle: 20s}")
    rng = np.random.default_rng(6)
    running = np.repeat(rng.integers(0, 2, 40), 25)
    t_ns = np.repeat(BEGIN + np.arange(1000) * 10 * SECOND, 2)
    readings = Batch.of([1, 0] * 1000, t_ns, np.column_stack([running, np.where(rng.random(1000) > 0.9, 80.0, 20.0)]).ravel())
    coarse = told(play(settings, readings))
    line = Line.of(settings)
    assert 0.05 < judged(readings, line).mean() < 0.25
    monkeypatch.setattr("gateway.backtest.play.judged", lambda readings, _line: np.ones(len(readings), dtype=bool))
    assert len(coarse) > 10
    assert told(play(settings, readings)) == coarse


def test_nothing_recorded_is_told(plant: Plant) -> None:
    with pytest.raises(ConfigError, match="no readings"):
        play(plant(), Batch.of([], [], []))


class Doubling:
    """Its score is twice the value."""

    takes: ClassVar[frozenset[type]] = frozenset({Batch})

    def __init__(self, _options: WatchOptions, context: DetectorContext) -> None:
        self._path = {tag.index: tag.path for tag in context.tags}
        self._scores: Scores | None = None

    def show(self, scores: Scores | None) -> None:
        self._scores = scores

    def process(self, item: Item | Frame) -> list[Finding]:
        assert isinstance(item, Batch)
        if self._scores is not None:
            self._scores([self._path[tag] for tag in item.tag.tolist()], item.t_ns, 2 * item.value)
        return []

    def dump(self) -> bytes:
        return b""

    def load(self, state: bytes) -> None: ...


def test_scores_of_every_reading(plant: Plant) -> None:
    settings = plant()
    doubling = DetectorPlugin(name="doubling", domain="anomaly", options=WatchOptions, build=Doubling)
    settings = replace(settings, watches=(*settings.watches, replace(settings.watches[0], name="twice", plugin=doubling)))
    book, readings = ScoreBook(), temperatures([20, 30, 40])
    played = play(settings, readings, scores=book.of)
    assert (played.scoring, played.silent) == (("twice",), ("limit-1",))
    series = book.series("twice", "press-07/temperature")
    assert series is not None
    assert series[0].tolist() == readings.t_ns.tolist()
    assert series[1].tolist() == [40, 60, 80]
    assert book.series("limit-1", "press-07/temperature") is None
    text = StringIO()
    assert book.write(text) == len(book) == 3
    assert text.getvalue().splitlines()[:2] == ["time,watch,tag,score", "2001-09-09T01:46:40Z,twice,press-07/temperature,40"]
