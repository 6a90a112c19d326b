"""Everything a recording tells, worked out as the gateway does it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.vibration.analysis import STANDSTILL_RPM, Analysis, Band, Turning, analyse
from models.vibration.bearing import Orders
from models.vibration.diagnosis.knowledge import Knowledge
from models.vibration.diagnosis.verdict import Verdict, stage
from models.vibration.orders.patterns import Machine, Peak, hints, peaks
from models.vibration.orders.speed import Speed, disagrees, from_spectrum
from models.vibration.overall import Overall, band_powers, overall
from models.vibration.quality import Trouble, shape_of, trouble
from models.vibration.severity import Zones
from models.vibration.spectrum import Samples, averaged
from models.vibration.units import Unit

BLOCK_SECONDS = 10.0
_SURE = 0.7
_NO_BEARING = "no bearing was given"


@dataclass(frozen=True)
class Asked:
    """What the command line says. `machine.shaft_hz` is filled in here."""

    rate_hz: float
    rpm: float | None
    unit: Unit
    orders: Orders | None
    zones: Zones
    band: Band
    level: float
    machine: Machine


@dataclass(frozen=True)
class Examination:
    """
    hints    only of a machine beyond zone A
    shaft    speed the spectrum shows, where it shows one
    rpm      that was taken
    verdict  None with the reason in `silent`
    """

    asked: Asked
    samples: Samples
    overall: Overall
    bands: dict[str, float]
    analysis: Analysis
    shaft: Speed | None
    rpm: float | None
    trouble: Trouble | None
    peaks: list[Peak]
    hints: list[str]
    verdict: Verdict | None
    stage: str
    blocks: int
    silent: str

    @property
    def zone(self) -> str | None:
        """Letter of the zone; None without an overall velocity."""
        believed = self.trouble is None and self.analysis.band is not None
        return self.asked.zones.letter(self.analysis.rms) if believed else None


def examine(samples: Samples, asked: Asked) -> Examination:
    """samples   float32[n], finite"""
    bad = trouble(samples, shape_of(samples), asked.rate_hz, asked.unit)
    rpm = None if asked.rpm is None or abs(asked.rpm) < STANDSTILL_RPM else abs(asked.rpm)
    stands = asked.rpm is not None and rpm is None
    first = analyse(samples, asked.rate_hz, asked.unit, rpm, None, asked.band)
    shaft = from_spectrum(first.velocity, rpm) if bad is None else None
    if rpm is None and not stands and shaft is not None and shaft.confidence >= _SURE:
        rpm = shaft.rpm
    turning = None if rpm is None or asked.orders is None else Turning(asked.orders, rpm / 60)
    found = analyse(samples, asked.rate_hz, asked.unit, rpm, turning, asked.band)
    silent = _silence(asked, bad, found, rpm)
    verdict, blocks = (None, 0) if silent or turning is None else _concluded(samples, asked, rpm, turning)
    lines = [] if rpm is None or bad is not None else peaks(found.velocity, replace(asked.machine, shaft_hz=rpm / 60))
    shaking = found.rms > asked.zones.limits[1]
    return Examination(
        asked=asked,
        samples=samples,
        overall=overall(samples),
        bands=band_powers(averaged(samples, asked.rate_hz, asked.rate_hz / len(samples)), asked.rate_hz / 2),
        analysis=found,
        shaft=shaft,
        rpm=rpm,
        trouble=bad,
        peaks=lines,
        hints=hints(lines, found.rms) if found.rms > asked.zones.limits[0] else [],
        verdict=verdict,
        stage=stage(verdict.depth, shaking=shaking) if verdict is not None and verdict.fault else "",
        blocks=blocks,
        silent=silent,
    )


def _silence(asked: Asked, bad: Trouble | None, found: Analysis, rpm: float | None) -> str:
    """Why there is no opinion on the bearing; empty if there can be one."""
    if bad is not None:
        return f"{bad.name}: {bad.said}"
    if asked.orders is None:
        return _NO_BEARING
    if not asked.unit.hears_bearings:
        return f"a sensor of {asked.unit.quantity} does not hear what a bearing's impacts excite; it takes acceleration"
    if rpm is None and asked.rpm is not None:
        return f"the shaft stands still: {asked.rpm:g} rpm"
    if rpm is None:
        return "the speed is not known, and the spectrum does not show it; give --speed-rpm"
    if asked.rpm is not None and (other := disagrees(found.velocity, rpm)) is not None:
        return f"speed: the spectrum shows {other.rpm:.0f} rpm and not {rpm:g}; the bearing's lines would be looked for in the wrong places"
    if found.bearing is None:
        return "the recording has too few revolutions, or the sampling is too slow for this bearing's lines"
    return ""


def _concluded(samples: Samples, asked: Asked, rpm: float | None, turning: Turning) -> tuple[Verdict | None, int]:
    """After all blocks of BLOCK_SECONDS; a shorter recording is one block."""
    length = min(len(samples), int(BLOCK_SECONDS * asked.rate_hz))
    starts = range(0, len(samples) - length + 1, length)
    knowledge, verdict = Knowledge(turning.points, max(len(starts), 5)), None
    for start in starts:
        found = analyse(samples[start : start + length], asked.rate_hz, asked.unit, rpm, turning, asked.band).bearing
        if found is not None:
            verdict = knowledge.learn(found, turning.orders, asked.level) or verdict
    return verdict, len(starts)
