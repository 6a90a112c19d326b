"""Severity and bearing diagnosis of waveforms."""

from __future__ import annotations

from typing import ClassVar

from gateway.contract import Batch, Bearing, DetectorContext, Finding, Frame, Json, Record, Waveform
from models.vibration import severity, state
from models.vibration.analysis import Turning, analyse, usable
from models.vibration.config import VibrationOptions
from models.vibration.diagnosis.verdict import stage
from models.vibration.findings import Block, Conclusion, bearing_finding, spectra, velocity_finding
from models.vibration.mounting import Mounting, mountings, zones
from models.vibration.opinion import NOTHING
from models.vibration.state import VERDICTS, Channel

_STANDSTILL_RPM = 30.0


class Vibration:
    """Two conditions per tag: ``<tag>_velocity`` (zone of ISO 20816-3) and ``<tag>_bearing`` (which part is damaged).

    waveform   float32[n], n >= 1024, in g, m/s2 or mm/s; shorter, late, repeated or not finite blocks are left out
    returns    a Finding when what the last `confirm` blocks agree on changes; velocity: WARNING in zone C, CRITICAL in
               zone D; bearing: WARNING, ERROR once the velocity is beyond zone B; its key names the damaged part
    score      velocity: mm/s rms; bearing: see `diagnosis.comb`
    state      per tag: averaged envelope spectra (some 80 kB) and the last `confirm` opinions
    Raises     ConfigError: no waveform tag, another unit, an unknown bearing or machine
    """

    takes: ClassVar[frozenset[type]] = frozenset({Waveform})

    def __init__(self, options: VibrationOptions, context: DetectorContext) -> None:
        self._options = options
        self._zones = zones(options)
        self._mountings = {mounting.tag.index: mounting for mounting in mountings(options, context)}
        self._channels = {mounting.tag.path: self._channel(mounting) for mounting in self._mountings.values()}
        self._latest: dict[str, Json] = {}

    def _channel(self, mounting: Mounting) -> Channel:
        points = 0 if mounting.orders is None else Turning(mounting.orders, 1.0).points
        return Channel(points, self._options.confirm, self._options.memory)

    def latest(self) -> dict[str, Json]:
        """``{"machine/tag": {t_ns, envelope_spectrum, velocity_spectrum}}`` of each tag's last block; from any thread."""
        return self._latest

    def process(self, item: Batch | Frame | Waveform | Record) -> list[Finding]:
        assert isinstance(item, Waveform)  # noqa: S101  `takes` says so
        mounting = self._mountings.get(item.tag)
        if mounting is None or not usable(item.samples):
            return []
        channel = self._channels[mounting.tag.path]
        if item.t_ns <= channel.last_t_ns:
            return []
        channel.last_t_ns = item.t_ns
        block = self._block(mounting, item)
        shown = spectra(block)
        # One reference is swapped and nothing changed in place: the page reads it from another thread.
        self._latest = {**self._latest, mounting.tag.path: {"t_ns": item.t_ns, **shown}}
        return [
            *self._velocity(channel, item.t_ns, block, shown["velocity_spectrum"]),
            *self._diagnosis(channel, item.t_ns, block),
        ]

    def _block(self, mounting: Mounting, item: Waveform) -> Block:
        rpm = _speed(item, mounting.bearing)
        turning = None if mounting.orders is None or rpm is None else Turning(mounting.orders, rpm / 60)
        analysis = analyse(item.samples, item.rate_hz, mounting.factor, rpm, turning, self._options.band)
        end_ns = item.t_ns + round(len(item.samples) / item.rate_hz * 1e9)
        return Block(mounting.tag, end_ns, rpm, mounting.bearing, turning, analysis)

    def _velocity(self, channel: Channel, t_ns: int, block: Block, velocity_spectrum: Json) -> list[Finding]:
        if block.analysis.band is None:
            return []
        opinion, hysteresis = channel.velocity, self._options.hysteresis
        opinion.add(t_ns, self._zones.level(block.analysis.rms, opinion.value, hysteresis))
        return [velocity_finding(block, opinion, self._zones, hysteresis, velocity_spectrum)] if opinion.news() else []

    def _diagnosis(self, channel: Channel, t_ns: int, block: Block) -> list[Finding]:
        densities, turning, opinion = block.analysis.bearing, block.turning, channel.bearing
        if densities is None or turning is None:
            return []
        verdict = channel.knowledge.learn(densities, turning.orders, self._options.level)
        if verdict is None:
            return []
        opinion.add(t_ns, VERDICTS.index(verdict.fault))
        shaking = opinion.value > NOTHING and channel.velocity.value > severity.GOOD
        far = stage(verdict.depth, shaking=shaking) if opinion.value > NOTHING else ""
        if not opinion.news(shaking):
            return []
        blocks = channel.knowledge.blocks
        return [bearing_finding(block, turning, Conclusion(opinion, verdict, far, blocks, self._options.level), shaking=shaking)]

    def dump(self) -> bytes:
        return state.dump(self._channels)

    def load(self, state_: bytes) -> None:
        self._channels = state.load(state_, self._channels)


def _speed(item: Waveform, bearing: Bearing | None) -> float | None:
    """Shaft speed in rpm, if it is known and the shaft turns."""
    rpm = item.speed_rpm
    if rpm is None and bearing is not None and not isinstance(bearing.speed, str):
        rpm = bearing.speed
    return abs(rpm) if rpm is not None and abs(rpm) >= _STANDSTILL_RPM else None
