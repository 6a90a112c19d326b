"""What the multiples of the shaft speed, of its gears and blades and of the mains say about a machine. Pure.

The rules are those of any textbook of machine diagnosis (ISO 13373-1:2002, annex; Randall 2011, Vibration-based condition monitoring,
ch. 2): hints for an engineer, not claims.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.vibration.spectrum import Spectrum

_MULTIPLES = 10
_STANDS_OUT = 0.1  # of the largest multiple
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Machine:
    """What turns with the shaft, and the mains frequency of an electrical machine; 0: none."""

    shaft_hz: float
    teeth: int = 0
    blades: int = 0
    mains_hz: float = 0.0


@dataclass(frozen=True, slots=True)
class Peak:
    """`amplitude` in the spectrum's unit, peak."""

    name: str
    hz: float
    amplitude: float


def peaks(velocity: Spectrum, machine: Machine) -> list[Peak]:
    """1x to 10x, half multiples, gear mesh with two sidebands either way, blade pass, twice the mains, as far as the spectrum reaches."""
    shaft = machine.shaft_hz
    named = [(f"{k}x", k * shaft) for k in range(1, _MULTIPLES + 1)]
    named += [(f"{k}.5x", (k + 0.5) * shaft) for k in range(4)]
    if machine.teeth:
        named += [(_beside("mesh", side), (machine.teeth + side) * shaft) for side in (0, -1, 1, -2, 2)]
    if machine.blades:
        named += [("blade pass", machine.blades * shaft)]
    if machine.mains_hz:
        named += [("2x mains", 2 * machine.mains_hz)]
    highest = (len(velocity.amplitude) - 2) * velocity.hz_step
    return [Peak(name, hz, _height(velocity, hz)) for name, hz in named if hz < highest]


def hints(found: list[Peak], rms: float) -> list[str]:
    """Empty if nothing stands out.

    rms   of the whole, in the unit of the peaks

    >>> shaft = [Peak("1x", 25.0, 4.0), Peak("2x", 50.0, 0.3), Peak("3x", 75.0, 0.1)]
    >>> hints(shaft, 2.9)
    ['unbalance: 1x holds 95 % of the power']
    """
    height = {peak.name: peak.amplitude for peak in found}
    first, second, third = (height.get(name, 0.0) for name in ("1x", "2x", "3x"))
    multiples = [height.get(f"{k}x", 0.0) for k in range(1, _MULTIPLES + 1)]
    largest = max(multiples, default=0.0)
    said = []
    share = (first**2 / 2) / max(rms**2, _TINY)
    if share > 0.7 and second < 0.3 * first:
        said.append(f"unbalance: 1x holds {100 * min(share, 1):.0f} % of the power")
    if second > 0.5 * first and second**2 / 2 > 0.1 * rms**2:
        said.append(
            f"misalignment: 2x is {100 * second / max(first, _TINY):.0f} % of 1x" + (", and 3x stands out" if third > 0.3 * first else "")
        )
    standing = sum(one > _STANDS_OUT * largest for one in multiples)
    halves = sum(height.get(f"{k}.5x", 0.0) > _STANDS_OUT * largest for k in range(4))
    if largest**2 / 2 > 0.02 * rms**2 and (standing >= 6 or halves >= 2):
        said.append(f"looseness: {standing} multiples of 1x stand out" + (f" and {halves} half ones" if halves else ""))
    said += _of(height, rms)
    return said


def _of(height: dict[str, float], rms: float) -> list[str]:
    """Gears, blades and the mains."""
    said = []
    mesh = height.get("mesh", 0.0)
    sides = [height.get(_beside("mesh", side), 0.0) for side in (-2, -1, 1, 2)]
    if max([mesh, *sides]) ** 2 / 2 > 0.1 * rms**2:
        modulated = max(sides) > 0.3 * mesh
        said.append("gear mesh stands out" + (", with sidebands of the shaft: wear, or a tooth" if modulated else ""))
    if height.get("blade pass", 0.0) ** 2 / 2 > 0.1 * rms**2:
        said.append("blade pass stands out: flow, or a clearance")
    if height.get("2x mains", 0.0) ** 2 / 2 > 0.1 * rms**2:
        said.append("twice the mains frequency stands out: the stator, or an uneven air gap")
    return said


def _beside(name: str, side: int) -> str:
    return name if side == 0 else f"{name}{side:+d}x"


def _height(spectrum: Spectrum, hz: float) -> float:
    """The largest amplitude within one bin, or half a per cent, of a frequency."""
    reach = max(1, round(0.005 * hz / spectrum.hz_step))
    middle = round(hz / spectrum.hz_step)
    part = spectrum.amplitude[max(0, middle - reach) : middle + reach + 1]
    return float(np.max(part, initial=0.0))
