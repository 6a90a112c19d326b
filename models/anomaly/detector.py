"""The bank's verdicts as findings, one condition per tag, or per group of tags whose alarms belong together."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Batch, DetectorContext, Finding, Frame, Learning, Record, Scores, Waveform
from models.anomaly import judge, peaks, state
from models.anomaly.bank import Bank, Step
from models.anomaly.columns import BEGAN, CALLED, COUNT, INTERVAL, KIND, LAST, LEARNT, MID, USUAL
from models.anomaly.config import AnomalyOptions
from models.anomaly.gauges import gauges
from models.anomaly.groups import Groups, Told
from models.anomaly.rounds import rounds, span
from models.anomaly.settings import AGAIN, BACK, LARGEST, NONE, WEIGHTS, Settings
from models.anomaly.words import condition, finding

Places = NDArray[np.intp]
Times = NDArray[np.int64]
Floats = NDArray[np.float64]


class Anomaly:
    """Flags a gauge that does what it usually does not, learnt per tag from its own past.

    batch      good readings at their own times, engineering units; not finite ones are left out, and late and repeated ones
    returns    ``<tag>_anomaly``: ACTIVE when the tag's members together are rarer than `false_alarms_per_week` allows; told again
               when kind or severity rises, or when other tags of the machine join; OVER when all of them are back below three
               quarters of their limits, or when the level was accepted as the usual one
    score      -log10 of the probability that half a `memory` of normal operation brings such a peak, 0 to 30
    state      O(1): under 8 kB per tag, see `columns.Columns`
    Raises     ConfigError when none of the tags is a gauge: counters, states and waveforms have no usual band
    """

    takes: ClassVar[frozenset[type]] = frozenset({Batch})

    def __init__(self, options: AnomalyOptions, context: DetectorContext, weights: tuple[float, ...] = WEIGHTS) -> None:
        self._tags = gauges(context)
        indices = [tag.index for tag in self._tags]
        self._row = np.full(max(tag.index for tag in context.tags) + 1, -1, dtype=np.intp)
        self._row[indices] = np.arange(len(indices))
        self._all = len(indices) == len(context.tags)
        self._settings = settings(options, weights)
        self._bank = Bank(len(self._tags), self._settings, context.timezone)
        self._groups = Groups(self._tags, self._bank.columns, options.together)
        self._row_of = {(tag.machine, condition(tag)): row for row, tag in enumerate(self._tags)}
        self._scores: Scores | None = None

    def process(self, item: Batch | Frame | Waveform | Record) -> list[Finding]:
        assert isinstance(item, Batch)  # noqa: S101  `takes` says so
        row, t_ns, value = self._row[item.tag], item.t_ns, item.value
        usable = np.abs(value) < LARGEST
        if not self._all:
            usable &= row >= 0
        if not usable.all():
            row, t_ns, value = row[usable], t_ns[usable], value[usable]
        if not len(row):
            return []
        news: list[Told] = []
        for piece in rounds(row, t_ns):
            at = np.arange(len(row))[piece]
            news += self._round(at, row[piece], t_ns[piece], value[piece])
        if len(news) > 1:
            news.sort(key=lambda one: (one.t_ns, one.at))
        return [found for one in news if (found := self._finding(one)) is not None]

    def _round(self, at: Places, row: Places, t_ns: Times, value: Floats) -> list[Told]:
        """Each tag at most once, by rising row."""
        last = self._bank.columns.times[LAST]
        fresh = t_ns > last[span(row)]
        if not fresh.all():
            at, row, t_ns, value = at[fresh], row[fresh], t_ns[fresh], value[fresh]
        if not len(row):
            return []
        due = self._bank.due(row, t_ns, value)
        if not due.all():
            last[row] = t_ns
            if self._scores is not None and not due.all():
                self._show(row[~due], t_ns[~due], np.zeros(int((~due).sum())))
            at, row, t_ns, value = at[due], row[due], t_ns[due], value[due]
        if not len(row):
            return []
        shown = self._bank.columns.alarm[KIND, row].copy() if self._scores is not None else None
        step = self._bank.step(row, t_ns, value)
        if shown is not None:
            self._show(row, t_ns, self._visible(row, t_ns, step, shown))
        return [self._told(int(at[i]), row, int(i), int(t_ns[i]), float(value[i]), step) for i in np.flatnonzero(step.verdicts.changed)]

    def _told(self, at: int, rows: Places, i: int, t_ns: int, value: float, step: Step) -> Told:
        row, verdicts, found = int(rows[i]), step.verdicts, step.residuals
        kind = int(verdicts.kind[i])
        accepted = bool(verdicts.accepted[i])
        columns = self._bank.columns
        width = float(judge.band(columns, rows[i : i + 1], verdicts.kind[i : i + 1])[0])
        expected = float(found.expected[i])
        if accepted:
            expected += float(columns.now[USUAL, row]) - (value - float(found.moved[i]))  # the level before
        factor = 1.0 if self._bank.factor is None else float(self._bank.factor[row])
        return Told(
            at=at,
            row=row,
            t_ns=t_ns,
            value=value,
            expected=expected,
            deviation=value - expected,
            width=width * factor if np.isfinite(width) else 0.0,
            kind=kind,
            severity=int(verdicts.severity[i]),
            z=float(step.sums.strength[i]),
            limit=float(step.sums.limit[i]),
            began_ns=int(columns.times[BEGAN, row]) or t_ns,
            began=bool(verdicts.began[i]),
            accepted=accepted,
            shares=tuple(step.sums.scores[:, i].tolist()),
            interval=float(columns.now[INTERVAL, row]),
            alarms=int(columns.of_the_week()[row]),
        )

    def _finding(self, news: Told) -> Finding | None:
        speaker = self._groups.speaker(news)
        if speaker is None:
            return None
        factor = 1.0 if self._bank.factor is None else float(self._bank.factor[news.row])
        return finding(self._tags, self._bank.columns, self._groups, speaker, news, factor)

    def tune(self, machine: str, condition: str, factor: float) -> None:
        """The limit of one tag, from its next reading on; what it learns stays as it is. A condition it does not have is ignored."""
        row = self._row_of.get((machine, condition))
        if row is not None:
            self._bank.tune(row, factor)

    def learning(self) -> list[Learning]:
        now, alarms, o = self._bank.columns.now, self._bank.columns.of_the_week(), self._settings
        readings = np.minimum(now[COUNT] / max(o.warm_up_readings, 1), 1.0)
        share = np.minimum(readings, np.minimum(now[LEARNT] / max(o.warm_up, 1e-9), 1.0))
        return [
            Learning(machine=tag.machine, tag=tag.name, share=float(share[row]), alarms=int(alarms[row]))
            for row, tag in enumerate(self._tags)
        ]

    def forget(self, machine: str, tags: frozenset[str]) -> None:
        if len(rows := self._rows(machine, tags)):
            self._bank.forget(rows)

    def adopt(self, machine: str, tags: frozenset[str]) -> None:
        columns = self._bank.columns
        rows = self._rows(machine, tags)
        rows = rows[columns.alarm[KIND, rows] > NONE]
        if len(rows):
            judge.adopt(columns.now, rows, MID)

    def show(self, scores: Scores | None) -> None:
        self._scores = scores

    def _rows(self, machine: str, tags: frozenset[str]) -> Places:
        return np.array([r for r, tag in enumerate(self._tags) if tag.machine == machine and (not tags or tag.name in tags)], dtype=np.intp)

    def _show(self, row: Places, t_ns: Times, score: Floats) -> None:
        assert self._scores is not None  # noqa: S101  whoever calls has looked
        self._scores([self._tags[one].path for one in row.tolist()], t_ns, score)

    def _visible(self, row: Places, t_ns: Times, step: Step, shown: NDArray[np.int8]) -> Floats:
        """An episode shows once: what goes on, or comes back too soon, stays below the limit. A raised limit shows as a lower score."""
        limit, began = self._bank.limit, step.verdicts.began
        z = step.sums.z * (limit / step.sums.limit)
        again = t_ns - self._bank.columns.times[CALLED, row] < int(AGAIN * self._settings.memory * 1e9)
        known = (z >= limit) | (shown > NONE) | again
        return peaks.rarity(np.where(began, np.maximum(z, limit), np.where(known, np.minimum(z, BACK * limit), z)))

    def leap(self, machine: str, delta_ns: int) -> None:
        rows = np.array([row for row, tag in enumerate(self._tags) if tag.machine == machine], dtype=np.intp)
        self._bank.columns.leap(rows, delta_ns)
        self._groups.since[rows] += np.where(self._groups.since[rows] > 0, delta_ns, 0)

    def dump(self) -> bytes:
        return state.dump(self._bank.columns, [tag.path for tag in self._tags])

    def load(self, saved: bytes) -> None:
        state.load(saved, self._bank.columns, [tag.path for tag in self._tags])
        self._groups.restore()


def settings(options: AnomalyOptions, weights: tuple[float, ...] = WEIGHTS) -> Settings:
    """In seconds."""
    names = ("false_alarms_per_week", "memory", "smooth", "warm_up", "warm_up_readings", "gap", "accept_after", "together", "at_least")
    return Settings(**{name: getattr(options, name) for name in names}, weights=weights)
