"""Factors stay within their bounds, whatever is said in whatever order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Judgement
from gateway.contract.options import FeedbackOptions
from gateway.feedback.tuning import moved, within

OPTIONS = FeedbackOptions(step=0.1, at_most=0.25)
bounds = st.builds(FeedbackOptions, step=st.floats(1e-3, 0.5), at_most=st.floats(1e-3, 2))
judgements = st.lists(st.sampled_from(Judgement), max_size=60)


def after(judged: Sequence[Judgement], options: FeedbackOptions, factor: float = 1.0) -> list[float]:
    """Verdicts on different incidents."""
    return list(accumulate(judged, lambda so_far, judgement: moved(so_far, judgement, options), initial=factor))[1:]


def one_case(judged: list[Judgement], options: FeedbackOptions, factor: float) -> list[float]:
    """Verdicts on one incident, each instead of the one before."""
    found, stood = [], None
    for judgement in judged:
        factor, stood = moved(factor, judgement, options, instead_of=stood), judgement
        found.append(factor)
    return found


@given(judgements, bounds)
def test_always_within_the_bounds(judged: list[Judgement], options: FeedbackOptions) -> None:
    assert all(1.0 <= factor <= 1.0 + options.at_most for factor in after(judged, options))


@given(judgements, bounds, bounds)
def test_a_bound_that_was_lowered_holds_at_once(judged: list[Judgement], old: FeedbackOptions, new: FeedbackOptions) -> None:
    for factor in after(judged, old):
        assert 1.0 <= within(factor, new) <= 1.0 + new.at_most
        assert 1.0 <= moved(factor, Judgement.KNOWN_ISSUE, new) <= 1.0 + new.at_most


@given(judgements, bounds)
def test_known_issues_and_maintenance_move_nothing(judged: list[Judgement], options: FeedbackOptions) -> None:
    telling = [one for one in judged if one in (Judgement.FALSE_ALARM, Judgement.TRUE_POSITIVE)]
    assert (after(judged, options) or [1.0])[-1] == (after(telling, options) or [1.0])[-1]


@given(st.integers(0, 20), bounds)
def test_as_many_true_ones_as_false_ones_lead_back_to_exactly_one(count: int, options: FeedbackOptions) -> None:
    judged = [Judgement.FALSE_ALARM] * count + [Judgement.TRUE_POSITIVE] * count
    assert (after(judged, options) or [1.0])[-1] == 1.0


def test_steps_multiply_up_to_the_bound_and_divide_down_to_one() -> None:
    false, true = Judgement.FALSE_ALARM, Judgement.TRUE_POSITIVE
    assert after([false, false, false, true, true, true], OPTIONS) == pytest.approx([1.1, 1.21, 1.25, 1.25 / 1.1, 1.25 / 1.21, 1.0])


def test_what_is_no_factor_is_one() -> None:
    assert [within(factor, OPTIONS) for factor in (float("nan"), float("-inf"), 0.0, -3.0)] == [1.0] * 4
    assert within(float("inf"), OPTIONS) == 1.25


@given(judgements, bounds, st.floats(1, 3))
def test_one_case_goes_no_further_than_a_step(judged: list[Judgement], options: FeedbackOptions, start: float) -> None:
    before = within(start, options)
    for factor in one_case(judged, options, before):
        assert 1.0 <= factor <= min(before * (1 + options.step), 1 + options.at_most) * (1 + 1e-9)


def test_a_corrected_false_alarm_is_taken_back() -> None:
    false, true, known = Judgement.FALSE_ALARM, Judgement.TRUE_POSITIVE, Judgement.KNOWN_ISSUE
    assert one_case([false, known, false, false, known], OPTIONS, 1.0) == pytest.approx([1.1, 1.0, 1.1, 1.1, 1.0])
    assert one_case([false, true], OPTIONS, 1.1) == pytest.approx([1.21, 1.0])
