import numpy as np
import pytest

from models.vibration.trend.level import LEARN, Course, Level


def courses(values: np.ndarray) -> list[list[Course]]:
    """Of (rows, points)."""
    level = Level(values.shape[1])
    return [[level.follow(point, float(value)) for point, value in enumerate(row)] for row in values]


def steady(rows: int, points: int, seed: int = 1) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, 0.03, (rows, points)))


def rising(found: list[list[Course]], point: int) -> list[int]:
    return [row for row, one in enumerate(found) if one[point] is Course.RISING]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("points", [1, 4])
def test_a_steady_level_is_usual(points: int, seed: int) -> None:
    found = courses(steady(1500, points, seed))
    assert {one for row in found[LEARN + 1 :] for one in row} == {Course.USUAL}
    assert {one for row in found[:LEARN] for one in row} == {Course.LEARNING}


def test_one_point_that_rises_is_named_and_the_others_are_not() -> None:
    values = steady(600, 4)
    values[300:, 2] *= np.exp(np.linspace(0, 0.6, 300))
    values[300:] *= np.exp(np.linspace(0, 0.1, 300))[:, None]  # the others feel it a little
    found = courses(values)
    assert rising(found, 2)[0] < 400
    assert [rising(found, point) for point in (0, 1, 3)] == [[], [], []]


def test_all_points_at_once_are_another_way_of_running_and_learnt_anew() -> None:
    values = steady(900, 4)
    values[300:] *= [1.15, 1.3, 1.2, 1.25]
    values[700:, 1] *= 1.5
    found = courses(values)
    assert not any(rising(found[:700], point) for point in range(4))
    assert found[330][0] is Course.LEARNING
    assert rising(found, 1)[0] < 720


def test_one_point_alone_that_steps_up_and_back_is_rising_and_over() -> None:
    values = steady(600, 1)
    values[300:400] *= 1.5
    found = rising(courses(values), 0)
    assert 304 <= found[0] < 320
    assert found[-1] < 425
