"""Which part of a bearing is damaged, and how sure that is. Pure.

A part is named when the whitened envelope spectrum shows its lines, surely (`score`) and strongly (`depth`), when hardly any wrong
speed would suit those lines as well (`specific`), and when the conventional envelope spectrum has them too. Lines that stand out in
the conventional one alone, or that the two see differently, are a fault of an open type: what modulates single tones looks like that
as well, and has named the wrong part on public recordings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np

from models.vibration.bearing import Orders
from models.vibration.diagnosis.comb import Spectrum, Strength
from models.vibration.diagnosis.lines import FAULTS, family, line_names

OPEN = "open"
LEVEL = 3.0
DEPTH = 0.16
_SPECIFIC = 0.94
_CONVENTIONAL = 1.5
"""So many times the level, in the conventional envelope."""
_SURE_REVOLUTIONS = 48.0
"""With fewer, chance finds lines more easily: the level rises."""
_RIVAL = 0.7
"""Two parts this near to each other in strength cannot be told apart."""
_DEVELOPING = 0.35
_CAGE_DEPTH = 1.0
"""Healthy bearings modulate with their cage by up to half, damaged balls more."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a part; `prominence` is its height in noise floors, as amplitude."""

    name: str
    order: float
    prominence: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """`fault` is one of FAULTS, OPEN, or empty.

    family      the part whose lines are strongest: the named one if there is one
    specific    share of wrong speeds that suit its lines worse; 1.0 where it was not asked for
    whitened, conventional   what both envelopes say of each part
    lines       of the family, where it was found; none if nothing is claimed
    """

    fault: str
    family: str
    specific: float
    whitened: dict[str, Strength]
    conventional: dict[str, Strength]
    lines: tuple[Line, ...]

    @property
    def score(self) -> float:
        return self.whitened[self.family].score

    @property
    def depth(self) -> float:
        return self.whitened[self.family].depth


def conclude(white: Spectrum, usual: Spectrum, orders: Orders, level: float = LEVEL) -> Verdict:
    """`level`: score from which a part is claimed."""
    level *= max(1.0, sqrt(_SURE_REVOLUTIONS / white.revolutions))
    whitened = {fault: white.strength(orders, fault) for fault in FAULTS}
    conventional = {fault: usual.strength(orders, fault) for fault in FAULTS}
    passing = _passing(white, orders, whitened, level, DEPTH)
    if (strongest := next(passing, None)) is not None:
        part, specific = strongest
        near = _RIVAL * whitened[part].strength
        # How specific another part is costs as much as all of the rest, so only one that comes near is asked.
        rivals = [other for other in FAULTS if other != part and whitened[other].strength >= near]
        agreed = conventional[part].depth > whitened[part].depth / 2 and not (rivals and any(other in rivals for other, _ in passing))
        lines = lines_of(white, orders, part, whitened[part].first)
        return Verdict(part if agreed else OPEN, part, specific, whitened, conventional, lines)
    seen, specific = next(_passing(usual, orders, conventional, _CONVENTIONAL * level, DEPTH), ("", 1.0))
    part = seen or max(FAULTS[:3], key=lambda fault: whitened[fault].score)
    lines = lines_of(usual, orders, part, conventional[part].first) if seen else ()
    return Verdict(OPEN if seen else "", part, specific, whitened, conventional, lines)


def lines_of(spectrum: Spectrum, orders: Orders, fault: str, first: float) -> tuple[Line, ...]:
    """A part's lines with its first one at `first` orders."""
    at = family(fault).orders(np.array([first]), orders.ftf)[0]
    return tuple(Line(name, float(order), spectrum.prominence(order)) for name, order in zip(line_names(fault), at, strict=True))


def _passing(spectrum: Spectrum, orders: Orders, found: dict[str, Strength], level: float, depth: float) -> Iterator[tuple[str, float]]:
    """Parts whose lines are sure, strong and specific, the strongest first."""
    for fault in sorted(found, key=lambda fault: -found[fault].strength):
        deep_enough = found[fault].depth >= (_CAGE_DEPTH if fault == "cage" else depth)
        if found[fault].score >= level and deep_enough and found[fault].inside:
            specific = spectrum.share_of_wrong_speeds_below(orders, fault, found[fault].score)
            if specific >= _SPECIFIC:
                yield fault, specific


def stage(depth: float, *, shaking: bool) -> str:
    """How far the damage is: `early` while the envelope swings by less than a third, `developing` above, `advanced` once the machine
    shakes with it.

    >>> stage(0.2, shaking=False), stage(0.5, shaking=False), stage(0.5, shaking=True)
    ('early', 'developing', 'advanced')
    """
    if depth < _DEVELOPING:
        return "early"
    return "advanced" if shaking else "developing"
