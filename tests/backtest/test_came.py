"""A recording by a clock that was set back, as a gateway would have judged it: deaf for a minute, not until the old time comes again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gateway.backtest.came import ahead, set_back
from gateway.backtest.columns import assign
from gateway.backtest.play import Alarm, play
from gateway.backtest.recording import find, read
from gateway.config import Settings
from gateway.contract import Batch

Plant = Callable[..., Settings]
Recorded = Callable[..., Path]
SECOND = 1_000_000_000
BEGIN = datetime(2027, 1, 15, tzinfo=UTC)
WATCH = "{on: [press-07/temperature, press-08/load], high: 70, hold: 15s, clear_after: 25s}"


def alarms(settings: Settings, data: Path) -> list[Alarm]:
    files = find(data)
    columns = assign(files, settings, {})
    recording = read(files, list(columns), ZoneInfo("Europe/Berlin"))
    return play(settings, recording.of(columns), recording.ahead_of(columns)).book.alarms


def at(t_ns: int) -> int:
    return round(t_ns / SECOND - BEGIN.timestamp())


def lines(seconds: range, shown: Callable[[int], int], hot: range, header: str = "time,temperature") -> list[str]:
    return [header, *(f"{(BEGIN + timedelta(seconds=shown(at))).isoformat()},{90 if at in hot else 20}" for at in seconds)]


def test_the_hour_that_comes_twice_in_autumn_is_heard_twice(plant: Plant, recorded: Recorded) -> None:
    """Of a historian that writes local time without an offset."""
    begin, zone, rows = datetime(2027, 10, 30, 23, 30, tzinfo=UTC), ZoneInfo("Europe/Berlin"), ["time,temperature"]
    for minute in range(170):
        local = (begin + timedelta(minutes=minute)).astimezone(zone).replace(tzinfo=None)
        rows.append(f"{local},{90 if minute in (45, 46, 47, 100, 101, 102, 103, 155) else 20}")
    told = alarms(plant("{on: press-07/temperature, high: 70}"), recorded(*rows))
    assert [round((alarm.raised_ns / SECOND - begin.timestamp()) / 60) for alarm in told] == [45, 100 - 60, 155]


@pytest.mark.parametrize("back", [300, 3600, 40 * 86_400])
def test_a_clock_that_was_set_back_for_good(plant: Plant, recorded: Recorded, back: int) -> None:
    """Delays go on as ever, and alarms have the recording's times, whatever day it is by then."""
    data = recorded(*lines(range(0, 9000, 5), lambda at: at - back * (at >= 4000), range(4400, 4500)))
    (alarm,) = alarms(plant(WATCH), data)
    assert (at(alarm.raised_ns), at(alarm.cleared_ns)) == (4415 - back, 4525 - back)


def test_one_machine_of_two_files(plant: Plant, recorded: Recorded) -> None:
    recorded(*lines(range(0, 9000, 5), lambda at: at - 3600 * (at >= 4000), range(4400, 4500)), name="d/press-07.csv")
    data = recorded(*lines(range(0, 9000, 5), lambda at: at, range(4400, 4500), "time,load"), name="d/press-08.csv").parent
    told = {alarm.machine: (at(alarm.raised_ns), at(alarm.cleared_ns)) for alarm in alarms(plant(WATCH), data)}
    assert told == {"press-07": (815, 925), "press-08": (4415, 4525)}


def test_what_comes_from_a_store_is_late_and_no_clock_that_was_set(plant: Plant, recorded: Recorded) -> None:
    """An hour without a connection, then one new reading, then those of the hour, then new ones again."""
    order = [*range(0, 4000, 5), 7600, *range(4000, 7600, 5), *range(7605, 9000, 5)]
    rows = lines(range(0, 9000, 5), lambda at: at, range(4400, 4500))
    data = recorded(rows[0], *(rows[1 + at // 5] for at in order))
    assert alarms(plant(WATCH), data) == []


def test_without_any_of_it_nothing_is_ahead() -> None:
    batch = Batch.of(np.zeros(4), np.array([1, 2, 1, 3]) * SECOND, [1.0] * 4)
    assert ahead(batch.t_ns, batch.tag).tolist() == [0] * 4
    assert not set_back(batch, ahead(batch.t_ns, batch.tag)).any()
    assert ahead(batch.t_ns[:0], batch.tag[:0]).tolist() == []
