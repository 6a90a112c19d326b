"""Severity and bearing diagnosis of waveforms."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import ClassVar

import msgspec

from gateway.contract import Batch, DetectorContext, Finding, Frame, Json, Record, State, Waveform
from models.vibration import severity, state
from models.vibration.analysis import Turning, unusable
from models.vibration.config import VibrationOptions
from models.vibration.diagnosis.lines import FAULTS
from models.vibration.diagnosis.verdict import Verdict, stage
from models.vibration.drawing import svg
from models.vibration.evidence import trend_json, waveform_json
from models.vibration.findings import Block, Conclusion, bearing_finding, spectra, velocity_finding
from models.vibration.follow import signal_finding, trend_finding
from models.vibration.mounting import Mounting, machines, mountings, tachos, zones
from models.vibration.opinion import NOTHING
from models.vibration.orders.speed import disagrees
from models.vibration.quality import TROUBLES, Shape, Trouble, shape_of, trouble
from models.vibration.shaft import Viewer
from models.vibration.state import VERDICTS, Channel
from models.vibration.tachos import Tachos
from models.vibration.trend.level import Course
from models.vibration.trend.machine import Trend

LEFT_OUT = ("late", "short", "not_finite", "no_pulses", "no_tacho")
"""Not after the one before; fewer than 1024 samples; NaN, infinity or absurd numbers; a tacho that does not turn, or gave no block."""


class Vibration:
    """Four conditions per tag: ``<tag>_velocity`` (zone of ISO 20816-3), ``<tag>_bearing`` (which part is damaged), ``<tag>_trend``
    (a level that rises here and not everywhere) and ``<tag>_signal`` (blocks that cannot be believed, which are judged no further).

    waveform   float32[n], n >= 1024, in g, m/s2, mm/s, um or mm; shorter, late, repeated or not finite blocks are left out
    returns    a Finding when what the last `confirm` blocks agree on changes; velocity: WARNING in zone C, CRITICAL in
               zone D; bearing: WARNING, ERROR once the velocity is beyond zone B; its key names the damaged part
    score      velocity: mm/s rms; bearing: see `diagnosis.comb`; trend: share above the usual level
    state      per tag: averaged envelope spectra (some 100 kB), the last `confirm` opinions, the levels of each class of speed
    Raises     ConfigError: no waveform tag, another unit, an unknown bearing or machine
    """

    takes: ClassVar[frozenset[type]] = frozenset({Waveform})

    def __init__(self, options: VibrationOptions, context: DetectorContext) -> None:
        self._options = options
        self._zones = zones(options)
        self._mountings = {mounting.tag.index: mounting for mounting in mountings(options, context)}
        self._viewers = {index: _viewer(options, mounting) for index, mounting in self._mountings.items()}
        self._channels = {mounting.tag.path: self._channel(mounting) for mounting in self._mountings.values()}
        self._points = _points(self._mountings.values())
        self._trends = {machine: Trend(len(paths)) for machine, paths in self._points.items()}
        self._machines = machines(self._mountings.values())
        self._tachos = Tachos(tachos(options, context))
        self._left_out = dict.fromkeys(LEFT_OUT, 0)
        self._latest: dict[str, tuple[int, Block] | None] = dict.fromkeys(self._channels)

    def left_out(self) -> dict[str, int]:
        """Blocks that were not looked at, by reason: see LEFT_OUT."""
        return {**self._left_out, "no_tacho": self._tachos.lost}

    def _channel(self, mounting: Mounting) -> Channel:
        points = 0 if mounting.orders is None else Turning(mounting.orders, 1.0).points
        return Channel(points, self._options.confirm, self._options.memory)

    def latest(self) -> dict[str, Json]:
        """``{"machine/tag": {t_ns, envelope_spectrum, velocity_spectrum}}`` of each tag's last block; from any thread."""
        known = [(path, latest) for path, latest in self._latest.items() if latest is not None]
        return {path: {"t_ns": t_ns, **spectra(block)} for path, (t_ns, block) in known}

    def leap(self, machine: str, delta_ns: int) -> None:
        for path in self._points.get(machine, ()):
            self._channels[path].leap(delta_ns)
        if machine in self._trends:
            self._trends[machine].history[..., 0] += delta_ns / 1e9
        if machine in self._machines:
            self._machines[machine].leap(delta_ns)

    def process(self, item: Batch | Frame | Waveform | Record) -> list[Finding]:
        assert isinstance(item, Waveform)  # noqa: S101  `takes` says so
        return [found for block, tacho in self._tachos.pairs(item) for found in self._placed(block, self._look(block, tacho))]

    def _placed(self, item: Waveform, found: list[Finding]) -> list[Finding]:
        """With points, as what the whole machine says."""
        mounting = self._mountings.get(item.tag)
        machine = None if mounting is None else self._machines.get(mounting.tag.machine)
        return found if machine is None or mounting is None else machine.hear(mounting.tag.name, item.t_ns, found)

    def _look(self, item: Waveform, tacho: Waveform | None) -> list[Finding]:
        mounting = self._mountings.get(item.tag)
        if mounting is None:
            return []
        channel = self._channels[mounting.tag.path]
        block, why = self._block(mounting, item, tacho) if item.t_ns > channel.last_t_ns else (None, "late")
        if block is None:
            self._left_out[why] += 1
            return []
        channel.last_t_ns = item.t_ns
        # One reference is swapped and nothing changed in place: the page reads it from another thread.
        self._latest[mounting.tag.path] = item.t_ns, block
        shape = shape_of(item.samples)
        bad = trouble(item.samples, shape, item.rate_hz, mounting.unit)
        verdict = self._learnt(channel, block) if bad is None else None
        if bad is None and verdict is not None and verdict.fault:
            bad = _contradicted(block)
        found = self._signal(channel, item.t_ns, block, bad)
        if bad is not None and bad.name != "speed":
            return found
        told = self._velocity(channel, item.t_ns, block)
        told += self._trend(channel, item.t_ns, shape, block, verdict)
        if bad is None and verdict is not None:
            told += self._bearing(channel, item.t_ns, block, verdict)
        return found + [self._with_evidence(one, item, block) for one in told]

    def _with_evidence(self, finding: Finding, item: Waveform, block: Block) -> Finding:
        """Of what is active: an excerpt of the block, the course of its velocity, which block it is, and the picture of it all."""
        if finding.state is not State.ACTIVE:
            return finding
        tag = block.tag
        course = self._trends[tag.machine].course(self._points[tag.machine].index(tag.path))
        evidence = {
            **finding.evidence,
            "waveform": waveform_json(item.samples, item.rate_hz, item.t_ns, tag.options.unit),
            "velocity_trend": trend_json(*course, self._zones.limits),
            "block": {"tag": tag.path, "t_ns": item.t_ns},
        }
        return msgspec.structs.replace(finding, evidence=evidence | {"picture_svg": svg(evidence, finding.title)})

    def _block(self, mounting: Mounting, item: Waveform, tacho: Waveform | None) -> tuple[Block | None, str]:
        """None, and why: it cannot be looked at."""
        if (damage := unusable(item.samples)) or (tacho is not None and (damage := unusable(tacho.samples))):
            return None, damage
        seen = self._viewers[item.tag].view(item, tacho)
        if seen is None:
            return None, "no_pulses"
        shaft, turning, analysis = seen
        end_ns = item.t_ns + round(len(item.samples) / item.rate_hz * 1e9)
        return Block(mounting.tag, mounting.label, end_ns, shaft, item.load, mounting.bearing, turning, analysis), ""

    def _velocity(self, channel: Channel, t_ns: int, block: Block) -> list[Finding]:
        if block.analysis.band is None:
            return []
        opinion, hysteresis = channel.velocity, self._options.hysteresis
        opinion.add(t_ns, self._zones.level(block.analysis.rms, opinion.value, hysteresis))
        return [velocity_finding(block, opinion, self._zones, hysteresis)] if opinion.news() else []

    def _learnt(self, channel: Channel, block: Block) -> Verdict | None:
        densities, turning = block.analysis.bearing, block.turning
        if densities is None or turning is None:
            return None
        return channel.knowledge.learn(densities, turning.orders, self._options.level)

    def _bearing(self, channel: Channel, t_ns: int, block: Block, verdict: Verdict) -> list[Finding]:
        opinion, turning = channel.bearing, block.turning
        assert turning is not None  # noqa: S101  there is a verdict
        opinion.add(t_ns, VERDICTS.index(verdict.fault))
        shaking = opinion.value > NOTHING and channel.velocity.value > severity.GOOD
        far = stage(verdict.depth, shaking=shaking) if opinion.value > NOTHING else ""
        if not opinion.news(shaking):
            return []
        blocks = channel.knowledge.blocks
        return [bearing_finding(block, turning, Conclusion(opinion, verdict, far, blocks, self._options.level), shaking=shaking)]

    def _signal(self, channel: Channel, t_ns: int, block: Block, bad: Trouble | None) -> list[Finding]:
        opinion = channel.signal
        opinion.add(t_ns, TROUBLES.index(bad.name if bad is not None else ""))
        return [signal_finding(block, opinion, bad)] if opinion.news() else []

    def _trend(self, channel: Channel, t_ns: int, shape: Shape, block: Block, verdict: Verdict | None) -> list[Finding]:
        """Told when it begins and ends, and each time it has lasted twice as long: the forecast has become better."""
        if block.analysis.band is None:
            return []
        tag, seconds = block.tag, t_ns / 1e9
        trend, point = self._trends[tag.machine], self._points[tag.machine].index(tag.path)
        levels = block.analysis.rms, shape.rms, block.analysis.high
        lines = () if verdict is None else tuple(verdict.whitened[part].depth for part in FAULTS[:3])
        course, rise = trend.follow(point, seconds, block.rpm, (*levels, *lines), self._load_class(block))
        if course is Course.LEARNING:
            return []
        following = channel.trend
        if not following.add(t_ns, rising=rise is not None):
            return []
        ahead = None if rise is None else trend.forecast(point, following.since_ns / 1e9, self._zones.limits[2])
        return [trend_finding(block, following.since_ns, rise, self._zones, ahead)]

    def _load_class(self, block: Block) -> int | None:
        step = self._options.load_step
        return None if step is None or block.load is None or not isfinite(block.load) else round(block.load / step)

    def dump(self) -> bytes:
        return state.dump(self._channels, self._trends)

    def load(self, state_: bytes) -> None:
        self._channels, self._trends = state.load(state_, self._channels, self._points)


def _viewer(options: VibrationOptions, mounting: Mounting) -> Viewer:
    return Viewer(mounting.unit, mounting.bearing, mounting.orders, options.band, options.estimate_speed, options.tacho_pulses)


def _points(known: Iterable[Mounting]) -> dict[str, list[str]]:
    """Paths of each machine's tags."""
    found: dict[str, list[str]] = {}
    for mounting in known:
        found.setdefault(mounting.tag.machine, []).append(mounting.tag.path)
    return found


def _contradicted(block: Block) -> Trouble | None:
    """The bearing's lines would be looked for in the wrong places."""
    if block.rpm is None or (shown := disagrees(block.analysis.velocity, block.rpm)) is None:
        return None
    return Trouble("speed", f"the spectrum shows {shown.rpm:.0f} rpm, the speed is said to be {block.rpm:g}")
