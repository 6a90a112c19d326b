"""How fast the shaft turned during a block, and who says so: a tag, a number, a tacho, the spectrum. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gateway.contract import Bearing, Waveform
from models.vibration.analysis import STANDSTILL_RPM, Analysis, Band, Turning, analyse
from models.vibration.bearing import Orders
from models.vibration.orders.speed import LOBE, from_spectrum, from_tacho
from models.vibration.orders.tracking import tracked
from models.vibration.units import Unit

SURE = 0.7
"""Confidence from which a speed the spectrum shows is taken."""
FEWEST_PULSES = 10
_VARIES = 0.02  # as much as a bearing's lines may slip


@dataclass(frozen=True, slots=True)
class Shaft:
    """`rpm` None: not known, or it does not turn. `source`: tag, number, tacho, spectrum or empty."""

    rpm: float | None = None
    source: str = ""
    confidence: float | None = None

    @staticmethod
    def told(block: Waveform, bearing: Bearing | None) -> Shaft:
        """By the machine's speed tag, else the bearing's number."""
        if block.speed_rpm is not None:
            return Shaft.turning(block.speed_rpm, "tag")
        number = None if bearing is None else bearing.speed
        return Shaft() if number is None or isinstance(number, str) else Shaft.turning(number, "number")

    @staticmethod
    def turning(rpm: float, source: str, confidence: float | None = None) -> Shaft:
        return Shaft(abs(rpm) if abs(rpm) >= STANDSTILL_RPM else None, source, confidence)


@dataclass(frozen=True, slots=True)
class Viewer:
    """How the blocks of one tag are analysed.

    estimate   take the speed from the spectrum where neither tag nor tacho tells it, near the bearing's number if there is one
    pulses     of the tacho in each revolution
    """

    unit: Unit
    bearing: Bearing | None
    orders: Orders | None
    band: Band
    estimate: bool
    pulses: int

    def view(self, block: Waveform, tacho: Waveform | None) -> tuple[Shaft, Turning | None, Analysis] | None:
        """None: the tacho's block has too few pulses to tell a speed."""
        if tacho is not None:
            return self._with_tacho(block, tacho)
        shaft = Shaft.told(block, self.bearing)
        if self.estimate and shaft.source in ("", "number"):
            shaft = self._estimated(block, shaft.rpm)
        turning = self._turning(shaft)
        return shaft, turning, self._analysed(block, shaft, turning)

    def _estimated(self, block: Waveform, near_rpm: float | None) -> Shaft:
        shown = from_spectrum(self._analysed(block, Shaft(near_rpm), None).velocity, near_rpm, apart=LOBE)
        if shown is None or shown.confidence < SURE:
            return Shaft()
        return Shaft.turning(shown.rpm, "spectrum", round(shown.confidence, 2))

    def _with_tacho(self, block: Waveform, tacho: Waveform) -> tuple[Shaft, Turning | None, Analysis] | None:
        """Severity by time; what turns with the shaft, of a speed that varies, by its angle."""
        turns = from_tacho(tacho.samples, tacho.rate_hz, self.pulses) + (tacho.t_ns - block.t_ns) / 1e9
        turns = turns[(turns >= 0) & (turns < len(block.samples) / block.rate_hz)]
        if len(turns) < FEWEST_PULSES:
            return None
        shaft = Shaft.turning(60 * (len(turns) - 1) / float(turns[-1] - turns[0]), "tacho")
        turning = self._turning(shaft)
        if turning is None or np.ptp(np.diff(turns)) < _VARIES * np.diff(turns).mean():
            return shaft, turning, self._analysed(block, shaft, turning)
        by_angle, rate_hz = tracked(block.samples, block.rate_hz, turns)
        found = self._analysed(replace(block, samples=by_angle, rate_hz=rate_hz), shaft, turning)
        return shaft, turning, replace(self._analysed(block, shaft, None), envelope=found.envelope, bearing=found.bearing)

    def _turning(self, shaft: Shaft) -> Turning | None:
        return None if self.orders is None or shaft.rpm is None else Turning(self.orders, shaft.rpm / 60)

    def _analysed(self, block: Waveform, shaft: Shaft, turning: Turning | None) -> Analysis:
        return analyse(block.samples, block.rate_hz, self.unit, shaft.rpm, turning, self.band)
