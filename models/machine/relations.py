"""How k tags move together: T2 and Q of a principal component analysis, and each tag given the others. Pure.

With the correlation matrix R of the deviations and P its inverse, the standardised residual of tag i in the regression on all
others is (P z)_i / sqrt(P_ii): what recursive least squares with the same forgetting finds for every tag at once (MSET's
question, Singer et al. 1997). T2 is the part of z in the leading components, Q what they leave (Jackson & Mudholkar 1979).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.machine.chance import rarity, rarity_of_squares

Floats = NDArray[np.float64]

_RIDGE = 0.1  # of the correlation is not believed: R of few looks is nearly singular by chance
_EXPLAINED = 0.9  # of the variance is in the leading components


class Relations:
    """Of the tags in `scored` bool[k], from their correlation float64[k, k]."""

    def __init__(self, correlation: Floats, scored: NDArray[np.bool_]) -> None:
        self.scored = np.flatnonzero(scored)
        kept = correlation[np.ix_(self.scored, self.scored)] * (1 - _RIDGE)
        np.fill_diagonal(kept, 1.0)
        values, vectors = np.linalg.eigh(kept)
        self._values = np.maximum(values, _RIDGE / 2)  # pairs that were learnt over different times need not fit together
        self._vectors = vectors
        self._inverse = (vectors / self._values) @ vectors.T
        self._own = np.sqrt(np.diag(self._inverse))
        part = np.cumsum(self._values[::-1]) / self._values.sum()
        self._rest = max(len(kept) - 1 - int(np.searchsorted(part, _EXPLAINED)), 0)
        left = self._values[: self._rest]
        self._q_mean = float(left.sum())
        self._q_dof = self._q_mean**2 / float((left * left).sum()) if self._rest else 0.0  # Box 1954

    def given_others(self, z: Floats) -> Floats:
        """Standardised residual of each tag given the others [k]; 0 for a tag that is not scored."""
        found = np.zeros(len(z))
        if len(self.scored):
            found[self.scored] = self._inverse @ z[self.scored] / self._own
        return found

    def sharpness(self, k: int) -> Floats:
        """How much narrower a tag is given the others than by itself [k], at least 1."""
        found = np.ones(k)
        found[self.scored] = self._own
        return found

    def rarities(self, z: Floats, residuals: Floats) -> tuple[float, float, float, float]:
        """-log10 p of the largest deviation, the largest residual given the others, T2 and Q."""
        mine, ways, rest = z[self.scored], len(self.scored), self._rest
        squares = (self._vectors.T @ mine) ** 2
        t2 = float((squares[rest:] / self._values[rest:]).sum())
        q = rarity_of_squares(float(squares[:rest].sum()), self._q_mean, self._q_dof) if rest else 0.0
        own, given = float(np.abs(mine).max()), float(np.abs(residuals).max())
        return rarity(own, ways), rarity(given, ways), rarity_of_squares(t2, ways - rest, ways - rest), q
