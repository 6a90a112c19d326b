"""How far a verdict moves a threshold. Pure."""

from __future__ import annotations

from gateway.contract import Judgement
from gateway.contract.options import FeedbackOptions

_LEAST = 1e-9
"""A factor this near to 1 is 1: what was multiplied and divided comes back to where it was."""


def moved(factor: float, judgement: Judgement, options: FeedbackOptions) -> float:
    """The factor after a verdict: a false alarm raises it, a true one takes a step back, nothing else moves it.

    >>> options = FeedbackOptions(step=0.05, at_most=0.08)
    >>> round(moved(1.0, Judgement.FALSE_ALARM, options), 4), round(moved(1.05, Judgement.FALSE_ALARM, options), 4)
    (1.05, 1.08)
    >>> moved(1.03, Judgement.TRUE_POSITIVE, options), moved(1.03, Judgement.MAINTENANCE, options)
    (1.0, 1.03)
    """
    if judgement is Judgement.FALSE_ALARM:
        factor *= 1 + options.step
    elif judgement is Judgement.TRUE_POSITIVE:
        factor /= 1 + options.step
    return within(factor, options)


def within(factor: float, options: FeedbackOptions | None) -> float:
    """The factor as the bounds of today allow it; without bounds it is 1, and so is what is no number.

    >>> [within(factor, FeedbackOptions(at_most=0.1)) for factor in (1.05, 1.2, 0.5, float("nan"))], within(1.2, None)
    ([1.05, 1.1, 1.0, 1.0], 1.0)
    """
    if options is None or not factor > 1.0 + _LEAST:
        return 1.0
    return min(factor, 1.0 + options.at_most)
