from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.anomaly import context, peaks, season, tail
from models.anomaly.calendar import Calendar
from models.anomaly.columns import CELLS, Columns
from models.anomaly.ewma import weight
from models.anomaly.rounds import rounds, span
from models.anomaly.settings import STRONGEST


def learnt(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tail.Tail:
    """The tail of one history that has seen these."""
    history, origin, zeros = np.zeros((1, 1, tail.BINS), np.float32), np.full((1, 1), tail.UNSET, np.int32), np.zeros((1, 1), np.float32)
    row = np.array([0])
    for value in values:
        deviation = np.array([[value]])
        tail.count(history, origin, zeros, row, deviation, tail.logs(deviation))
    return tail.Tail(*(part[0] for part in tail.fit(history, origin, zeros)))


def scores(fitted: tail.Tail, values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array([tail.score(fitted, tail.logs(np.array([value])))[0] for value in values])


@pytest.mark.parametrize(
    ("shape", "scale"),
    [
        *(("normal", scale) for scale in (1e-6, 1.0, 1e9)),
        *((shape, 1.0) for shape in ("laplace", "student")),
        *(pytest.param(shape, scale, marks=pytest.mark.long) for shape in ("laplace", "student") for scale in (1e-6, 1e9)),
    ],
)
def test_p_values_are_uniform_on_independent_noise(shape: str, scale: float) -> None:
    """Of other draws of the same noise, one in ten has p below 0.1, one in a hundred below 0.01; no unit needs to be known."""
    rng = np.random.default_rng(4)

    def draw(n: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        found = {"normal": rng.normal, "laplace": rng.laplace, "student": lambda size: rng.standard_t(3, size)}[shape](size=n)
        return np.abs(found) * scale

    found = scores(learnt(draw(4_000)), draw(4_000))
    for digits, slack in ((1.0, 1.8), (2.0, 2.0)):
        share = (found >= digits).mean()
        assert 10**-digits / slack < share < 10**-digits * slack
    assert (found >= 3.0).mean() < 2.5e-3  # the power law is careful beyond what was seen


def test_a_heavy_tail_is_taken_for_one() -> None:
    rng = np.random.default_rng(5)
    light, heavy = learnt(np.abs(rng.normal(size=3_000))), learnt(np.abs(rng.standard_t(2, size=3_000)))
    assert scores(light, np.array([8.0]))[0] > scores(heavy, np.array([8.0]))[0] + 1


@given(st.lists(st.floats(0, 1e150), min_size=1, max_size=60), st.floats(0, 1e150))
def test_any_history_gives_a_finite_score(values: list[float], value: float) -> None:
    found = scores(learnt(np.array(values)), np.array([value]))[0]
    assert 0 <= found <= STRONGEST


@given(st.lists(st.floats(1e-3, 1e3), min_size=20, max_size=60))
def test_a_larger_deviation_is_never_less_rare(values: list[float]) -> None:
    found = scores(learnt(np.array(values)), np.geomspace(1e-4, 1e6, 50))
    assert (np.diff(found) >= -1e-9).all()


def test_bins_follow_a_deviation_that_grows_and_one_that_shrinks() -> None:
    history, origin, zeros = np.zeros((1, 1, tail.BINS), np.float32), np.full((1, 1), tail.UNSET, np.int32), np.zeros((1, 1), np.float32)
    for value in (1e-9, 1.0, 1e12):
        deviation = np.array([[value]])
        tail.count(history, origin, zeros, np.array([0]), deviation, tail.logs(deviation))
    assert history.sum() == 3
    assert origin[0, 0] + tail.BINS > tail.PER_OCTAVE * np.log2(1e12)
    for _ in range(500):
        deviation = np.array([[1e-3]])
        tail.count(history, origin, zeros, np.array([0]), deviation, tail.logs(deviation))
        history *= 0.97
        tail.follow(history, origin, np.asarray(tail.fit(history, origin, zeros).high))
    assert origin[0, 0] < tail.PER_OCTAVE * np.log2(1e-3)
    assert history[0, 0, 1:-1].sum() > 0.9 * history.sum()


def test_deviation_and_score_are_each_others_inverse() -> None:
    fitted = learnt(np.abs(np.random.default_rng(1).normal(size=2_000)))
    edge = tail.deviation(fitted, 3.0)
    assert tail.score(fitted, tail.logs(edge))[0] == pytest.approx(3.0)


def test_the_limit_of_peaks_is_what_blocks_exceed_that_often() -> None:
    """Of blocks whose peaks spread as assumed, the asked share exceeds the limit."""
    rng = np.random.default_rng(2)
    scale = np.sqrt(6) / np.pi * peaks.VARIATION
    drawn = rng.gumbel(1 - 0.5772 * scale, scale, 200_000)
    drawn /= np.sqrt((drawn**2).mean())
    for p in (0.5, 0.07, 0.005):
        assert (drawn > peaks.limit(p)).mean() == pytest.approx(p, rel=0.15)
        assert peaks.rarity(np.array([peaks.limit(p)]))[0] == pytest.approx(-np.log10(p))


def test_one_anomaly_does_not_make_a_tag_deaf() -> None:
    found, squares, blocks = np.array([6.0]), np.zeros(1), np.zeros(1)
    for _ in range(20):
        found, squares, blocks = peaks.typical(found, squares, blocks, np.array([6.0]), 6.0)
    after, _, _ = peaks.typical(found, squares, blocks, np.array([1e9]), 6.0)
    assert after[0] < 1.1 * found[0]


@pytest.mark.parametrize(
    ("utc", "half", "hour"),
    [
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), 3, 6 * 24 + 1),  # Sunday, 01:59 in winter time
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), 6, 6 * 24 + 3),  # 03:00 in summer time
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), 5, 6 * 24 + 2),  # 02:30, the first time
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), 5, 6 * 24 + 2),  # and the second
        (datetime(2026, 11, 2, 22, 59, tzinfo=UTC), 47, 23),  # Monday, 23:59
    ],
)
def test_half_hours_are_those_of_the_plant(utc: datetime, half: int, hour: int) -> None:
    calendar = Calendar(ZoneInfo("Europe/Berlin"))
    t_ns = int(utc.timestamp()) * 10**9
    assert calendar.slots(np.array([t_ns, t_ns + 59 * 10**9])) == (half, hour)
    halves, hours = calendar.slots(np.array([t_ns, t_ns - 7 * 86_400 * 10**9, t_ns]))  # another quarter of an hour among them
    assert (np.asarray(halves)[[0, 2]].tolist(), np.asarray(hours)[[0, 2]].tolist()) == ([half] * 2, [hour] * 2)


def test_the_season_is_learnt_slowly_and_by_hour_of_the_week_last() -> None:
    columns, row, monday, tuesday = Columns.fresh(1), np.array([0]), (24, 12), (24, 36)

    def expected(noon: tuple[int, int]) -> float:
        return float(season.expected(season.known(columns, row, noon))[0])

    guess = []
    for day in range(60):
        noon, value = (monday, 5.0) if day % 2 == 0 else (tuesday, 3.0)
        season.learn(columns, row, noon, season.known(columns, row, noon), np.array([value]), np.array([3600.0]))
        guess.append(expected(monday))
    assert guess[0] < 1.0
    assert guess[10] < guess[30] < guess[59] < 5.0
    assert expected(tuesday) < guess[59] - 1


def test_seasons_of_tags_at_one_time_and_at_their_own_are_the_same() -> None:
    rng = np.random.default_rng(3)
    one, each, row = Columns.fresh(5), Columns.fresh(5), np.array([0, 2, 4])
    for _ in range(20):
        slots, value = (int(rng.integers(48)), int(rng.integers(168))), rng.normal(size=3)
        for columns, at in ((one, slots), (each, (np.full(3, slots[0]), np.full(3, slots[1])))):
            season.learn(columns, row, at, season.known(columns, row, at), value, np.full(3, 300.0))
    assert one.half_hour.any()
    np.testing.assert_array_equal(one.half_hour, each.half_hour)
    np.testing.assert_array_equal(one.weekly, each.weekly)


def test_a_move_never_made_is_the_more_surprising_the_longer_none_was_made() -> None:
    columns, row = Columns.fresh(1), np.array([0])

    def surprise(before: int, now: int) -> float:
        return float(context.surprise(columns, np.array([before]), *context.places(row, np.array([before]), np.array([now])))[0])

    early, late = [], []
    for n in range(2_000):
        before, now = np.array([8 if n % 2 else 9]), np.array([9 if n % 2 else 8])
        if n in (50, 1_999):
            (early if n == 50 else late).append(surprise(8, 2))
        context.learn(columns, *context.places(row, before, now))
    assert surprise(8, 9) < 1.5 < early[0] < late[0]
    assert surprise(-1, 9) == 0.0
    assert context.cell(np.array([1e300, -1e300]), np.ones(2)).tolist() == [CELLS - 1, 0]


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30))
def test_the_decay_over_a_span_is_the_same_however_it_is_cut(steps: list[float]) -> None:
    left = 1.0
    for dt in steps:
        left *= 1 - float(weight(np.array([dt]), 50.0, np.array([1e12]))[0])
    assert left == pytest.approx(float(np.exp(-sum(steps) / 50.0)), rel=1e-9)


@given(st.lists(st.integers(0, 5), max_size=40))
def test_rounds_hold_each_tag_once_and_keep_its_order(tags: list[int]) -> None:
    row = np.array(tags, dtype=np.intp)
    pieces = [np.arange(len(row))[piece] for piece in rounds(row, np.arange(len(row)))]
    for piece in pieces:
        assert (np.diff(row[piece]) > 0).all()
    for tag in set(tags):
        assert [i for piece in pieces for i in piece.tolist() if row[i] == tag] == np.flatnonzero(row == tag).tolist()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=30))
def test_what_is_not_later_than_its_tags_reading_before_it_is_in_no_round(readings: list[tuple[int, int]]) -> None:
    row, t_ns = np.array([tag for tag, _ in readings], dtype=np.intp), np.array([t for _, t in readings], dtype=np.int64)
    left = sorted(i for piece in rounds(row, t_ns) for i in np.arange(len(row))[piece].tolist())
    for i, (tag, t) in enumerate(readings):
        before = [at for one, at in readings[:i] if one == tag]
        assert (i in left) == (not before or t > before[-1])


@given(st.sets(st.integers(0, 12), min_size=1))
def test_a_span_is_the_same_rows(rows: set[int]) -> None:
    row = np.array(sorted(rows))
    at = span(row)
    assert np.arange(13)[at].tolist() == row.tolist()
    assert isinstance(at, slice) == (len(set(np.diff(row).tolist())) < 2)


@pytest.mark.parametrize("tags", [1, 40])
def test_a_history_is_fitted_the_same_alone_and_among_many(tags: int) -> None:
    rng = np.random.default_rng(8)
    shape = (7, tags)
    history, origin, zeros = np.zeros((*shape, tail.BINS), np.float32), np.full(shape, tail.UNSET, np.int32), np.zeros(shape, np.float32)
    for _ in range(50):
        deviation = np.maximum(rng.standard_t(2, shape), 0.0)
        tail.count(history, origin, zeros, np.arange(tags), deviation, tail.logs(deviation))
        history *= np.float32(0.97)
    together = tail.fit(history, origin, zeros)
    for n in range(tags):
        one = slice(n, n + 1)
        np.testing.assert_array_equal(np.array(together)[:, :, one], np.array(tail.fit(history[:, one], origin[:, one], zeros[:, one])))
    assert (together.steep > 0).any()
