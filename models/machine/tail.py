"""How rare is a rarity: corrects what theory says by what the machine itself shows.

If theory holds, a rarity r = -log10 p exceeds 1 in a tenth of the rows, by 1 / ln 10 in the mean (the excess is exponential:
a generalised Pareto tail of shape 0 in log p, so a power law in the deviation). Both numbers are learnt, with forgetting, from
normal operation; theory counts as `_PRIOR` independent looks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from models.machine.chance import STRONGEST

Floats = NDArray[np.float64]

_CUT = 1.0
_SHARE, _EXCESS = 0.1, 1 / math.log(10)
_PRIOR = 1000.0  # independent looks: a hundred of them in the tail
_STRETCH = (0.25, 4.0)


class Tails:
    """Of m rarities. `table` float64[3, m]: looks, looks beyond the cut, sum of their excess."""

    def __init__(self, m: int) -> None:
        self.table: Floats = np.zeros((3, m))

    def learn(self, rarity: Floats, looks: float, keep: float) -> None:
        """`looks`: how many independent looks this row is worth; `keep`: what is left of the past."""
        beyond = rarity > _CUT
        self.table *= keep
        self.table += np.stack([np.full(len(rarity), looks), looks * beyond, looks * np.where(beyond, rarity - _CUT, 0.0)])

    def calibrated(self, rarity: Floats) -> Floats:
        """-log10 p by theory and history together; by theory alone while there is none.

        >>> Tails(2).calibrated(np.array([0.5, 4.0])).tolist()
        [0.5, 4.0]
        """
        looks, beyond, excess = self.table
        share = (_PRIOR * _SHARE + beyond) / (_PRIOR + looks)
        mean = (_PRIOR * _SHARE * _EXCESS + excess) / (_PRIOR * _SHARE + beyond)
        stretch = np.clip(mean / _EXCESS, *_STRETCH)
        known = -np.log10(share)
        beyond_cut = known + (rarity - _CUT) / stretch
        return np.minimum(np.where(rarity > _CUT, beyond_cut, known * rarity / _CUT), STRONGEST)
