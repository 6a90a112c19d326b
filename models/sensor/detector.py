"""The bank's and the machines' troubles as findings."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Batch, DetectorContext, Finding, Frame, Learning, Quality, Record, Severity, State, Waveform
from models.sensor import state, words
from models.sensor.bank import Bank, Ints, Rows
from models.sensor.columns import BEGAN, COUNT, NEWEST
from models.sensor.config import SensorOptions
from models.sensor.order import largest_before, nth, pieces, rounds
from models.sensor.plant import Plant, Verdict
from models.sensor.settings import DAY_NS, LATE_HOLD_SECONDS, TICK_NS, Settings
from models.sensor.tags import CLOCK, GAP, QUIET, condition, troubles, watched
from models.sensor.usual import COUNTER, GAUGE, STATE

_KINDS = {"gauge": GAUGE, "counter": COUNTER, "state": STATE}


class Sensor:
    """Tells of sensors that cannot be believed; it never looks at the process.

    batch      every reading of the watched tags at its own time, bad ones with their reason (`DetectorPlugin.everything`)
    returns    per tag and trouble ``<tag>_sensor_<trouble>``, per machine ``sensor_clock_back``: ACTIVE when it begins, OVER when
               the sensor was well for `window`; the first opinion after a start always
    score      see the README: a share, seconds, octaves or a number
    state      O(1): about one kilobyte per tag, see `columns.Columns`
    Raises     ConfigError when all of the tags are waveforms
    """

    takes: ClassVar[frozenset[type]] = frozenset({Batch})

    def __init__(self, options: SensorOptions, context: DetectorContext) -> None:
        tags = self._tags = watched(context)
        names = self._names = tuple(dict.fromkeys(tag.machine for tag in tags))
        of = np.array([names.index(tag.machine) for tag in tags], dtype=np.intp)
        self._row = np.full(max(tag.index for tag in context.tags) + 1, -1, dtype=np.intp)
        self._row[[tag.index for tag in tags]] = np.arange(len(tags))
        self._settings = _settings(options)
        kind = np.array([_KINDS[tag.options.kind] for tag in tags], dtype=np.int8)
        steps = [np.inf if tag.options.max_step is None else tag.options.max_step for tag in tags]
        self._bank = Bank(self._settings, kind, troubles(tags), np.array(steps, dtype=np.float64))
        self._plant = Plant(of, len(names), options.bad_share)

    def process(self, item: Batch | Frame | Waveform | Record) -> list[Finding]:
        assert isinstance(item, Batch)  # noqa: S101  `takes` says so
        row = self._row[item.tag]
        # A time that no clock shows says nothing of the sensor; the device's health tells of it.
        usable = (row >= 0) & (item.quality != Quality.BAD_TIME)
        if not usable.all():
            item, row = item.select(usable), row[usable]
        if not len(row):
            return []
        before = largest_before(row, item.t_ns, self._bank.columns.times[NEWEST])
        late = (item.t_ns < before) & (item.quality != Quality.BACKFILLED)
        found = [self._clock(verdict) for verdict in self._plant.times(self._plant.of[row], item.t_ns, late)]
        fresh = item.t_ns > before
        if not fresh.all():
            item, row = item.select(fresh), row[fresh]
        for piece, starts in self._steps(row, item.t_ns):
            part = item.select(piece)
            found += self._begin(row[piece][starts[piece]], part.t_ns[starts[piece]])
            found += [finding for at in rounds(row[piece]) for finding in self._round(row[piece][at], part.select(at))]
        found.sort(key=lambda finding: finding.t_ns)
        return found

    def _steps(self, row: Rows, t_ns: Ints) -> list[tuple[Rows, NDArray[np.bool_]]]:
        """Pieces in which each machine's time goes on by one step at most, and which readings bring it on."""
        m, tick = self._plant.of[row], t_ns // TICK_NS
        starts = tick > largest_before(m, tick, self._plant.machines.tick)
        return [(at, starts) for at in pieces(nth(m, starts))] if len(row) else []

    def _begin(self, row: Rows, t_ns: Ints) -> list[Finding]:
        if not len(row):
            return []
        m = self._plant.of[row]
        self._plant.begin(m, t_ns // TICK_NS, self._bank)
        missing = self._plant.missing(m, t_ns, self._bank)
        when = dict(zip(m.tolist(), t_ns.tolist(), strict=True))
        return [self._finding(int(row), GAP, when[int(self._plant.of[row])], 0) for row in missing]

    def _round(self, row: Rows, batch: Batch) -> list[Finding]:
        """Each tag once."""
        c = self._plant.machines
        m = self._plant.of[row]
        changed = self._bank.step(row, batch.t_ns, batch.value, batch.quality, c.alive[0, m], c.rests[m])
        self._plant.expect(row, self._bank)
        if not changed.any():
            return []
        return [
            self._finding(int(row[i]), int(trouble), int(batch.t_ns[i]), int(batch.quality[i]))
            for trouble, i in zip(*np.nonzero(changed), strict=True)
        ]

    def _finding(self, row: int, trouble: int, t_ns: int, quality: int) -> Finding:
        tag, c = self._tags[row], self._bank.columns
        active = bool(c.active[trouble, row])
        since = min(int(c.since[trouble, row]) or t_ns, t_ns)
        told = words.facts(tag, trouble, c.now[:, row], quality, (t_ns - since) * 1e-9) if active else {}
        return Finding(
            machine=tag.machine,
            condition=condition(tag, trouble),
            state=State.ACTIVE if active else State.OVER,
            t_ns=t_ns,
            since_ns=since,
            severity=words.SEVERITIES[trouble],
            title=words.title(tag, trouble, told) if active else words.over(tag, trouble),
            score=words.score(trouble, told) if active else 0.0,
            tags=(tag.name,),
            explanation=told,
        )

    def _clock(self, verdict: Verdict) -> Finding:
        name, active = self._names[verdict.machine], verdict.active
        what = f"times go back: {verdict.share:.0%} of its readings are older than earlier ones" if active else "times are in order again"
        return Finding(
            machine=name,
            condition=CLOCK,
            state=State.ACTIVE if active else State.OVER,
            t_ns=verdict.t_ns,
            since_ns=verdict.since_ns,
            severity=Severity.WARNING,
            title=f"{name}: sensor {what}",
            score=verdict.share,
            explanation={"share": verdict.share},
            hold_seconds=LATE_HOLD_SECONDS,
        )

    def learning(self) -> list[Learning]:
        """Of gauges, the only ones it learns."""
        c, o = self._bank.columns, self._settings
        newest, began = c.times[NEWEST], c.times[BEGAN]
        seconds = np.where(began > 0, (newest - began) * 1e-9, 0.0)
        share = np.minimum(np.minimum(seconds / o.warm_up, c.now[COUNT] / o.warm_up_readings), 0.99)
        share = np.where(c.stretch > 0, 1.0, share)
        alarms = np.where(c.alarms[0] > newest // DAY_NS - 7, c.alarms[1], 0).sum(axis=0)
        return [
            Learning(machine=tag.machine, tag=tag.name, share=float(share[row]), alarms=int(alarms[row]))
            for row, tag in enumerate(self._tags)
            if self._bank.possible[QUIET, row]
        ]

    def forget(self, machine: str, tags: frozenset[str]) -> None:
        self._bank.columns.forget(self._rows(machine, tags))

    def adopt(self, machine: str, tags: frozenset[str]) -> None:
        """What it is stuck, quiet, coarse, spiking or missing for. Bad readings and times that go back are never usual."""
        self._bank.adopt(self._rows(machine, tags))

    def _rows(self, machine: str, tags: frozenset[str]) -> Rows:
        mine = [row for row, tag in enumerate(self._tags) if tag.machine == machine and (not tags or tag.name in tags)]
        return np.array(mine, dtype=np.intp)

    def leap(self, machine: str, delta_ns: int) -> None:
        if machine in self._names:
            m = self._names.index(machine)
            self._plant.machines.leap(m, delta_ns)
            self._bank.columns.leap(np.flatnonzero(self._plant.of == m), delta_ns)

    def dump(self) -> bytes:
        return state.dump(self._bank.columns, self._paths(), self._plant.machines, self._names)

    def load(self, saved: bytes) -> None:
        state.load(saved, self._bank.columns, self._paths(), self._plant.machines, self._names)

    def _paths(self) -> list[str]:
        return [tag.path for tag in self._tags]


def _settings(options: SensorOptions) -> Settings:
    return Settings(
        bad_share=options.bad_share,
        window=options.window,
        warm_up=options.warm_up,
        warm_up_readings=options.warm_up_readings,
        memory=options.memory,
    )
