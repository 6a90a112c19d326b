"""How far a verdict moves a threshold. Pure."""

from __future__ import annotations

from gateway.contract import Judgement
from gateway.contract.options import FeedbackOptions

_LEAST = 1e-9
"""A factor this near to 1 is 1: what was multiplied and divided comes back to where it was."""


def moved(factor: float, judgement: Judgement, options: FeedbackOptions, *, instead_of: Judgement | None = None) -> float:
    """The factor after a verdict: a false alarm raises it, a true one takes a step back, nothing else moves it.

    instead_of   the verdict on the same incident that stood before. One that only repeats it moves nothing: two people may close one
                 case. One that corrects a false alarm takes that step back first, so that no single case goes further than a step.

    >>> options = FeedbackOptions(step=0.05, at_most=0.08)
    >>> round(moved(1.0, Judgement.FALSE_ALARM, options), 4), round(moved(1.05, Judgement.FALSE_ALARM, options), 4)
    (1.05, 1.08)
    >>> moved(1.03, Judgement.TRUE_POSITIVE, options), moved(1.03, Judgement.MAINTENANCE, options)
    (1.0, 1.03)
    >>> moved(1.05, Judgement.FALSE_ALARM, options, instead_of=Judgement.FALSE_ALARM)
    1.05
    >>> moved(1.05, Judgement.MAINTENANCE, options, instead_of=Judgement.FALSE_ALARM)
    1.0
    """
    if judgement is instead_of:
        return within(factor, options)
    if instead_of is Judgement.FALSE_ALARM:
        factor /= 1 + options.step
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
