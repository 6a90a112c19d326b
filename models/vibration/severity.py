"""Vibration severity: zones A to D of broadband velocity. Pure, apart from the shipped table."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

GOOD, ZONE_C, ZONE_D = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Zones:
    """Limits A/B, B/C, C/D in mm/s rms, and where they come from."""

    limits: tuple[float, float, float]
    source: str

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
        for level, limit in ((ZONE_C, self.limits[1]), (ZONE_D, self.limits[2])):
            if value > (limit * (1 - hysteresis) if before >= level else limit):
                found = level
        return found


def iso_zones(group: int, support: str) -> Zones:
    """Row of ``iso20816_3.toml``; raises KeyError if someone removed it."""
    return _TABLE[group, support]


def _read_table() -> dict[tuple[int, str], Zones]:
    table = tomllib.loads(Path(__file__).with_name("iso20816_3.toml").read_text(encoding="utf-8"))
    found = {}
    for row in table["zone"]:
        low, middle, high = map(float, row["limits"])
        found[row["group"], row["support"]] = Zones((low, middle, high), f"{table['source']} group {row['group']} {row['support']}")
    return found


_TABLE: Final = _read_table()
