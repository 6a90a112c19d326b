"""The detector: frames in, findings out."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from gateway.contract import Batch, DetectorContext, Finding, Frame, Learning, Record, Scores, StateError, Waveform
from models.machine import state
from models.machine.config import MachineOptions
from models.machine.telling import CONDITION
from models.machine.watch import Watch
from models.machine.watched import tags_by_machine


class MachineDetector:
    """Flags a machine whose tags leave their usual levels, or the way they move together.

    frame      a machine's gauges side by side, engineering units; NaN = missing: not scored and not learnt, the other tags are
    returns    ``machine_anomaly``: ACTIVE when the row is rarer than chance brings `false_alarms_per_week`, OVER when it is back;
               the fact ``operating_point_changed`` when most tags moved together: everything is learnt anew then
    score      -log10 of the probability of such a row in normal operation, 0 to 30
    state      O(k^2) per operating state, at most eight of them, and 128 rows that wait
    Raises     ConfigError when no machine has two gauges, or `state` names no tag of it
    """

    takes: ClassVar[frozenset[type]] = frozenset({Frame})

    def __init__(self, options: MachineOptions, context: DetectorContext) -> None:
        self._options = options
        self._names = tags_by_machine(options, context)
        self._watches = {machine: Watch(machine, names, options) for machine, names in self._names.items()}
        self._factors: dict[str, float] = {}
        self._scores: Scores | None = None

    def process(self, item: Batch | Frame | Waveform | Record) -> list[Finding]:
        assert isinstance(item, Frame)  # noqa: S101  `takes` says so
        watch = self._watches.get(item.machine)
        if watch is None:
            return []
        table = item.x[:, [item.names.index(name) for name in watch.names]]
        states = item.x[:, item.names.index(self._options.state)] if self._options.state else np.zeros(len(table))
        found: list[Finding] = []
        scores = np.zeros(len(table))
        for i, t_ns in enumerate(item.t_ns.tolist()):
            scores[i], told = watch.row(t_ns, table[i], float(states[i]))
            found += told
        if self._scores is not None and len(table):
            self._scores([item.machine] * len(table), item.t_ns, scores)
        return found

    def show(self, scores: Scores | None) -> None:
        self._scores = scores

    def tune(self, machine: str, condition: str, factor: float) -> None:
        """The threshold of a machine; a condition it does not have is ignored."""
        if machine in self._watches and condition == CONDITION:
            self._factors[machine] = factor
            self._watches[machine].alarm.tune(factor)

    def learning(self) -> list[Learning]:
        return [
            Learning(
                machine=machine,
                state="" if self._options.state is None else f"{value:g}",
                share=watch.progress(value),
                alarms=watch.alarm.last_week(watch.last_ns),
            )
            for machine, watch in self._watches.items()
            for value in (watch.baselines or [0.0])
        ]

    def forget(self, machine: str, tags: frozenset[str]) -> None:
        if machine in self._watches:
            self._watches[machine].forget(tags)

    def adopt(self, machine: str, tags: frozenset[str]) -> None:
        if machine in self._watches:
            self._watches[machine].adopt(tags)

    def leap(self, machine: str, delta_ns: int) -> None:
        if machine in self._watches:
            self._watches[machine].leap(delta_ns)

    def dump(self) -> bytes:
        return state.dump(self._options, self._watches)

    def load(self, saved: bytes) -> None:
        """A machine that has other tags now begins anew, and it alone; in which order they stand is all one."""
        watches, refused = dict(self._watches), ""
        for machine, names, head, arrays in state.read(self._options, saved):
            if machine not in watches:
                continue
            if set(names) != set(self._names[machine]):
                refused = f"state of {machine} is of the tags {', '.join(names)}"
                continue
            watches[machine] = Watch(machine, names, self._options)
            watches[machine].alarm.tune(self._factors.get(machine, 1.0))
            try:
                state.restore(watches[machine], head, arrays)
            except (KeyError, ValueError, TypeError, IndexError) as exc:
                raise StateError(f"state of {machine} is damaged: {exc}") from exc
        if refused and watches == self._watches:
            raise StateError(refused)
        self._watches = watches
