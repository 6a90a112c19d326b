"""How rare is a rarity: corrects what theory says by what the machine itself shows.

If theory holds, a rarity r = -log10 p exceeds 1 in a tenth of the rows, by 1 / ln 10 in the mean (the excess is exponential:
a generalised Pareto tail of shape 0 in log p, so a power law in the deviation). Both numbers are learnt, with forgetting, from
normal operation; theory counts as `_PRIOR` independent looks.
"""

from __future__ import annotations

import math

from models.machine.chance import STRONGEST

_CUT = 1.0
_SHARE, _EXCESS = 0.1, 1 / math.log(10)
_PRIOR = 1000.0  # independent looks: a hundred of them in the tail
_FARTHEST = 2.0  # what is rarer counts as that: one episode in the warm-up must not blunt the tail (it takes 1 % off the mean)
_STRETCH = (0.25, 4.0)


class Tail:
    """Of one rarity. Looks, looks beyond the cut, and the sum of their excess are what it knows."""

    def __init__(self, looks: float = 0.0, beyond: float = 0.0, excess: float = 0.0) -> None:
        self.looks, self.beyond, self.excess = looks, beyond, excess

    def learn(self, rarity: float, looks: float, keep: float) -> None:
        """`looks`: how many independent looks this row is worth; `keep`: what is left of the past."""
        self.looks, self.beyond, self.excess = self.looks * keep + looks, self.beyond * keep, self.excess * keep
        if rarity > _CUT:
            self.beyond += looks
            self.excess += looks * min(rarity - _CUT, _FARTHEST)

    def calibrated(self, rarity: float) -> float:
        """-log10 p by theory and history together; by theory alone while there is none.

        >>> Tail().calibrated(0.5), Tail().calibrated(4.0)
        (0.5, 4.0)
        """
        known = -math.log10((_PRIOR * _SHARE + self.beyond) / (_PRIOR + self.looks))
        if rarity <= _CUT:
            return known * rarity / _CUT
        mean = (_PRIOR * _SHARE * _EXCESS + self.excess) / (_PRIOR * _SHARE + self.beyond)
        return min(known + (rarity - _CUT) / min(max(mean / _EXCESS, _STRETCH[0]), _STRETCH[1]), STRONGEST)
