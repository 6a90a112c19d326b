"""The bank's verdicts as findings, one condition per tag."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Batch, DetectorContext, Finding, Frame, Json, Learning, Record, Scores, Severity, State, Tag, Waveform
from models.anomaly import state
from models.anomaly.bank import Bank, Step
from models.anomaly.columns import COUNT, INTERVAL, LEARNT, LEVEL, SPIKE_LIMIT
from models.anomaly.config import AnomalyOptions
from models.anomaly.gauges import gauges
from models.anomaly.rounds import later, rounds
from models.anomaly.settings import NONE, SHIFT, Settings
from models.anomaly.single import usual

_KINDS = ("usual", "spike", "level")
_SEVERITIES = (Severity.WARNING, Severity.WARNING, Severity.ERROR)
_LARGEST = 1e150  # squares must stay finite
_FEW = 8  # readings up to which one by one is faster


class Anomaly:
    """Flags a gauge that leaves its usual band, learnt per tag from its own past.

    batch      good readings at their own times, engineering units; not finite ones are left out, and late and repeated ones
    returns    per tag ``<tag>_anomaly``: ACTIVE when a reading (kind ``spike``) or the level over `smooth` (kind ``level``)
               is beyond what chance brings `false_alarms_per_week`; told again when kind or severity rises; OVER when
               both are back inside three quarters of their limits, or when the level was accepted as the usual one
    score      -log10 of the probability of such a deviation by the tag's own history, 0 to 30
    state      O(1): about 1.5 kB per tag, see `columns.Columns`
    Raises     ConfigError when none of the tags is a gauge: counters, states and waveforms have no usual band
    """

    takes: ClassVar[frozenset[type]] = frozenset({Batch})

    def __init__(self, options: AnomalyOptions, context: DetectorContext) -> None:
        self._tags = gauges(context)
        indices = [tag.index for tag in self._tags]
        self._row = np.full(max(tag.index for tag in context.tags) + 1, -1, dtype=np.intp)
        self._row[indices] = np.arange(len(indices))
        self._all = len(indices) == len(context.tags)
        self._bank = Bank(len(self._tags), _settings(options))
        self._last = self._bank.columns.times[0]
        self._scores: Scores | None = None
        self._row_of = {(tag.machine, _condition(tag)): row for row, tag in enumerate(self._tags)}

    def process(self, item: Batch | Frame | Waveform | Record) -> list[Finding]:
        assert isinstance(item, Batch)  # noqa: S101  `takes` says so
        row, t_ns, value = self._row[item.tag], item.t_ns, item.value
        usable = np.abs(value) < _LARGEST
        if not self._all:
            usable &= row >= 0
        if not usable.all():
            row, t_ns, value = row[usable], t_ns[usable], value[usable]
        found: list[Finding] = []
        if len(row) <= _FEW and self._scores is None:
            return self._few(row, t_ns, value)
        if (fresh := later(row, t_ns)) is not None:
            row, t_ns, value = row[fresh], t_ns[fresh], value[fresh]
        for piece in rounds(row):
            found += self._round(row[piece], t_ns[piece], value[piece])
        if len(found) > 1:
            found.sort(key=lambda finding: finding.t_ns)
        return found

    def _few(self, row: NDArray[np.intp], t_ns: NDArray[np.int64], value: NDArray[np.float64]) -> list[Finding]:
        """One by one: a handful of readings costs less without arrays, as long as nothing happens."""
        found: list[Finding] = []
        for i, reading in enumerate(zip(row.tolist(), t_ns.tolist(), value.tolist(), strict=True)):
            if not usual(self._bank, *reading):
                found += self._round(row[i : i + 1], t_ns[i : i + 1], value[i : i + 1])
        found.sort(key=lambda finding: finding.t_ns)
        return found

    def _round(self, row: NDArray[np.intp], t_ns: NDArray[np.int64], value: NDArray[np.float64]) -> list[Finding]:
        """Each tag at most once."""
        fresh = t_ns > self._last[row]
        if not fresh.all():
            row, t_ns, value = row[fresh], t_ns[fresh], value[fresh]
        if not len(row):
            return []
        step = self._bank.step(row, t_ns, value)
        at = np.flatnonzero(step.changed)
        if not len(at) and self._scores is None:
            return []
        score = self._bank.score(row, step)
        if self._scores is not None:
            judged = np.isfinite(self._bank.columns.now[SPIKE_LIMIT, row])
            self._scores([self._tags[one].path for one in row.tolist()], t_ns, np.where(judged, score.max(axis=0), 0.0))
        return [self._finding(row, int(i), int(t_ns[i]), float(value[i]), step, score) for i in at]

    def _finding(self, rows: NDArray[np.intp], i: int, t_ns: int, value: float, step: Step, scores: NDArray[np.float64]) -> Finding:
        row, kind = int(rows[i]), int(step.kind[i])
        tag = self._tags[row]
        # Which of the two statistics tells: for a level that lasts, the level's; otherwise the stronger one's.
        which = 1 if kind == SHIFT or step.accepted[i] or (kind == NONE and scores[1, i] >= scores[0, i]) else 0
        expected = float(self._bank.columns.now[LEVEL, row]) if which else value - float(step.deviation[0, i])
        width = float(step.limit[which, i] * step.spread[which, i])
        width = width if np.isfinite(width) else 0.0
        since = int(self._bank.columns.times[2, row]) or t_ns
        p = float(self._bank.probability(self._bank.columns.now[INTERVAL, row : row + 1])[0])
        explanation: dict[str, Json] = {
            "kind": _KINDS[kind],
            "value": value,
            "expected": expected,
            "band": [expected - width, expected + width],
            "unit": tag.options.unit,
            "deviation": float(step.deviation[which, i]),
            "score": float(scores[which, i]),
            "threshold": -float(np.log10(p)),
        }
        if self._bank.factor is not None and self._bank.factor[row] != 1.0:
            explanation["limit_factor"] = float(self._bank.factor[row])
        if step.accepted[i]:
            explanation["accepted"] = f"{expected:.6g} has lasted and is the usual level now"
        return Finding(
            machine=tag.machine,
            condition=_condition(tag),
            state=State.ACTIVE if kind else State.OVER,
            t_ns=t_ns,
            since_ns=since,
            severity=_SEVERITIES[int(step.severity[i])],
            title=_title(tag, kind, value, expected, width, accepted=bool(step.accepted[i])),
            score=float(scores[which, i]),
            tags=(tag.name,),
            explanation=explanation,
        )

    def tune(self, machine: str, condition: str, factor: float) -> None:
        """Both limits of one tag, from its next reading on; what it learns stays as it is. A condition it does not have is ignored."""
        row = self._row_of.get((machine, condition))
        if row is not None:
            self._bank.tune(row, factor)

    def learning(self) -> list[Learning]:
        columns, o = self._bank.columns, self._bank.settings
        learnt = np.minimum(columns.now[LEARNT] / max(o.warm_up, 1e-9), columns.now[COUNT] / o.warm_up_readings)
        share, alarms = np.minimum(learnt, 1.0).tolist(), columns.of_the_week().tolist()
        return [Learning(machine=tag.machine, tag=tag.name, share=share[row], alarms=alarms[row]) for row, tag in enumerate(self._tags)]

    def forget(self, machine: str, tags: frozenset[str]) -> None:
        self._bank.forget(self._rows(machine, tags))

    def adopt(self, machine: str, tags: frozenset[str]) -> None:
        self._bank.adopt(self._rows(machine, tags))

    def show(self, scores: Scores | None) -> None:
        self._scores = scores

    def _rows(self, machine: str, tags: frozenset[str]) -> NDArray[np.intp]:
        rows = [row for row, tag in enumerate(self._tags) if tag.machine == machine and (not tags or tag.name in tags)]
        return np.array(rows, dtype=np.intp)

    def dump(self) -> bytes:
        return state.dump(self._bank.columns, [tag.path for tag in self._tags])

    def load(self, saved: bytes) -> None:
        state.load(saved, self._bank.columns, [tag.path for tag in self._tags])


def _condition(tag: Tag) -> str:
    return f"{tag.name}_anomaly"


def _settings(options: AnomalyOptions) -> Settings:
    return Settings(
        false_alarms_per_week=options.false_alarms_per_week,
        memory=options.memory,
        smooth=options.smooth,
        warm_up=options.warm_up,
        warm_up_readings=options.warm_up_readings,
        gap=options.gap,
        accept_after=options.accept_after,
        at_least=options.at_least,
    )


def _title(tag: Tag, kind: int, value: float, expected: float, width: float, *, accepted: bool) -> str:
    unit = f" {tag.options.unit}" if tag.options.unit else ""
    now, usual = _shown(value, width), _shown(expected, width)
    if accepted:
        return f"{tag.machine}: {tag.name} stays at {usual}{unit}, accepted as its usual level"
    if kind == NONE:
        return f"{tag.machine}: {tag.name} {now}{unit} is in its usual band"
    what = "has changed its level" if kind == SHIFT else "jumps"
    return f"{tag.machine}: {tag.name} {what}: {now}{unit}, usual {usual} ± {width:.2g}"


def _shown(value: float, width: float) -> str:
    """With at least four digits, and a tenth of `width`: what leaves the band must be seen to leave it.

    >>> _shown(1013.2617, 0.04), _shown(55.123, 7.0), _shown(55.123, 0.0)
    ('1013.262', '55.12', '55.12')
    """
    if not (width > 0 and value):
        return f"{value:.4g}"
    digits = int(np.floor(np.log10(abs(value))) - np.floor(np.log10(width))) + 2
    return f"{value:.{min(max(digits, 4), 15)}g}"
