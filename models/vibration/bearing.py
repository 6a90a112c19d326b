"""Defect frequencies of a rolling bearing, as multiples of the shaft speed (orders). Pure, apart from the shipped table."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from difflib import get_close_matches
from math import cos, radians
from pathlib import Path
from typing import Final

from gateway.contract import Bearing, ConfigError


@dataclass(frozen=True, slots=True)
class Orders:
    """Multiples of the shaft frequency, outer ring standing still.

    bpfo   a ball passes a point of the outer race
    bpfi   a ball passes a point of the inner race
    bsf    spin of a ball; a defect of it strikes both races, so its line is 2 x bsf
    ftf    revolution of the cage
    """

    bpfo: float
    bpfi: float
    bsf: float
    ftf: float


def orders(balls: int, ball_diameter: float, pitch_diameter: float, contact_angle: float = 0.0) -> Orders:
    """Kinematics without slip (Randall & Antoni 2011, MSSP 25(2), eq. 1-4); real bearings slip by 1-2 %.

    ball_diameter, pitch_diameter   same unit; contact_angle in degrees
    Raises ValueError if the balls do not fit the pitch circle.

    >>> found = orders(9, 7.94, 39.04)
    >>> round(found.bpfo, 4), round(found.bpfi, 4), round(2 * found.bsf, 4), round(found.ftf, 4)
    (3.5848, 5.4152, 4.7135, 0.3983)
    """
    if balls * ball_diameter >= 3.1416 * pitch_diameter:
        raise ValueError(f"{balls} balls of {ball_diameter:g} do not fit on a pitch diameter of {pitch_diameter:g}")
    ratio = ball_diameter / pitch_diameter * cos(radians(contact_angle))
    return Orders(
        bpfo=balls / 2 * (1 - ratio),
        bpfi=balls / 2 * (1 + ratio),
        bsf=pitch_diameter / (2 * ball_diameter) * (1 - ratio**2),
        ftf=(1 - ratio) / 2,
    )


def orders_of(bearing: Bearing) -> Orders:
    """From its geometry, else from its designation; raises ConfigError when neither is enough."""
    geometry = (bearing.balls, bearing.ball_diameter, bearing.pitch_diameter)
    balls, ball, pitch = geometry
    if balls is not None and ball is not None and pitch is not None:
        try:
            return orders(balls, ball, pitch, bearing.contact_angle)
        except ValueError as exc:
            raise ConfigError(f"bearing: {exc}") from exc
    if any(part is not None for part in geometry):
        raise ConfigError("bearing: give balls, ball_diameter and pitch_diameter together")
    if bearing.designation is None:
        raise ConfigError("bearing: give a designation, or balls, ball_diameter and pitch_diameter")
    return look_up(bearing.designation)


def look_up(designation: str) -> Orders:
    """By designation, whatever the maker and the suffix; raises ConfigError for one that is not in the table.

    >>> look_up("SKF 6205-2RS") == look_up("fag 6205.C3") == look_up("6205")
    True
    """
    text = designation.upper()
    for known, found in _TABLE.items():
        if re.search(rf"(?<!\d){re.escape(known)}(?!\d)", text):
            return found
    core = re.search(r"\d{3,}", text)
    near = get_close_matches(core.group() if core else text, _TABLE, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? Give" if near else "give"
    raise ConfigError(f"bearing {designation!r} is not in the table; {hint} balls, ball_diameter and pitch_diameter instead")


def _read_table() -> dict[str, Orders]:
    with Path(__file__).with_name("bearings.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["designation"]: orders(
                int(row["balls"]), float(row["ball_diameter_mm"]), float(row["pitch_diameter_mm"]), float(row["contact_angle_deg"])
            )
            for row in csv.DictReader(file)
        }


_TABLE: Final = _read_table()
