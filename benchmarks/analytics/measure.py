"""What was measured, beside what it should be: a row of ANALYTICS.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Measure:
    """`value` should be at least (``>=``) or at most (``<=``) `must`, and better `aim`; None: it could not be measured.

    published, baseline   what others report, and what a plain method gives, as text
    detail                what belongs to the figure
    """

    name: str
    value: float | None
    sign: Literal[">=", "<="]
    must: float
    aim: float
    unit: str = ""
    published: str = "–"
    baseline: str = "–"
    detail: str = ""

    @property
    def met(self) -> Literal["aim", "must", "no", "-"]:
        """
        >>> Measure("x", 72.0, ">=", 70, 77).met, Measure("x", 0.05, "<=", 0.35, 0.1).met, Measure("x", None, "<=", 1, 0).met
        ('must', 'aim', '-')
        """
        if self.value is None:
            return "-"
        return "aim" if self._reaches(self.aim) else "must" if self._reaches(self.must) else "no"

    def _reaches(self, limit: float) -> bool:
        assert self.value is not None
        return self.value >= limit if self.sign == ">=" else self.value <= limit

    def row(self) -> str:
        """
        >>> Measure("x", 1.0, ">=", 1, 2, baseline="mean of |z|").row().count(" | ")
        6
        """
        sign = {">=": "≥", "<=": "≤"}[self.sign]
        shown = "not measured" if self.value is None else f"**{self.value:.4g}**{' ' + self.unit if self.unit else ''}"
        detail = f" ({self.detail})" if self.detail else ""
        limits = f"{sign} {self.must:g}", f"{sign} {self.aim:g}"
        cells = (self.name, self.published, self.baseline, *limits, f"{shown}{detail}", self.met)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


HEAD = "| measure | best published | plain baseline | must | aim | measured | reaches |\n|---|---|---|---|---|---|---|\n"
