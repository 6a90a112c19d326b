"""Vibration severity: zones A to D of broadband velocity. Pure, apart from the shipped table."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

GOOD, ZONE_C, ZONE_D = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Zones:
    """Limits A/B, B/C, C/D in mm/s rms, and where they come from.

    warning   mm/s rms from which it is told; None: the limit B/C
    """

    limits: tuple[float, float, float]
    source: str
    warning: float | None = None

    def with_alarm(self, baseline: float) -> Zones:
        return replace(self, warning=self.alarm(baseline))

    def alarm(self, baseline: float) -> float:
        """Where a machine of this usual level is in alarm: a quarter of B/C above it, at most 1.25 times B/C (ISO 20816-1).

        >>> Zones((1.4, 2.8, 4.5), "example").alarm(0.9), Zones((1.4, 2.8, 4.5), "example").alarm(4.0)
        (1.6, 3.5)
        """
        return min(baseline + 0.25 * self.limits[1], 1.25 * self.limits[1])

    def letter(self, value: float) -> str:
        """
        >>> Zones((1.4, 2.8, 4.5), "example").letter(2.9)
        'C'
        """
        return "ABCD"[sum(value > limit for limit in self.limits)]

    def level(self, value: float, before: int, hysteresis: float) -> int:
        """GOOD (zone A or B), ZONE_C or ZONE_D; a zone is left only below its limit times (1 - hysteresis).

        >>> [Zones((1.4, 2.8, 4.5), "example").level(2.6, before, 0.1) for before in (0, 1)]
        [0, 1]
        """
        found = GOOD
        for level, limit in ((ZONE_C, self.warning or self.limits[1]), (ZONE_D, self.limits[2])):
            if value > (limit * (1 - hysteresis) if before >= level else limit):
                found = level
        return found


def iso_zones(group: int, support: str) -> Zones:
    """Row of ``iso20816_3.toml``; raises KeyError if someone removed it."""
    return _MACHINES[group, support]


def pump_zones(category: int, power: str) -> Zones:
    """Row of ``iso10816_7.toml``; raises KeyError if someone removed it.

    >>> pump_zones(1, "up to 200 kW").limits
    (2.5, 4.0, 6.6)
    """
    return _PUMPS[category, power]


def _read_table(name: str, keys: tuple[str, str]) -> dict[tuple[int, str], Zones]:
    table = tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    found = {}
    for row in table["zone"]:
        low, middle, high = map(float, row["limits"])
        which = " ".join(f"{key} {row[key]}" if key in ("group", "category") else str(row[key]) for key in keys)
        found[row[keys[0]], row[keys[1]]] = Zones((low, middle, high), f"{table['source']} {which}")
    return found


_MACHINES: Final = _read_table("iso20816_3.toml", ("group", "support"))
_PUMPS: Final = _read_table("iso10816_7.toml", ("category", "power"))
