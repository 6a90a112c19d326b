"""One river model per machine, fed with the machine's rows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from gateway.contract import Batch, DetectorContext, Finding, Frame, Learning, Record, Scores, StateError, Waveform
from models.river import state
from models.river.anomalies import Anomalies
from models.river.catalogue import maker
from models.river.config import RiverOptions
from models.river.drifts import Drifts
from models.river.member import Floats, Member
from models.river.trial import refuse_unworkable
from models.river.watched import names_by_machine, refuse_unusable

_HIGHEST = 1e100  # squares of what is beyond are not numbers any more


class River:
    """Feeds each machine's complete rows to a model of its own.

    frame      a machine's tags side by side; a row with a missing value, or one beyond 1e100, is neither scored nor learnt, only counted
    returns    ``<model>_anomaly`` (``half_space_trees_anomaly``), ACTIVE when the mean score of `smooth_rows` rows is rarer among
               the model's own scores than `false_alarms_per_week` allows; the score is the model's own, or how far the tag that is
               farthest off is from what was forecast or predicted;
               drift models: the fact ``drift_detected`` per tag
    score      anomaly: -log10 of the probability of such a score, 0 to 30; drift: 1
    state      `remember` rows and scores per machine; after `load` the model learns these rows again (see `Past`)
    Raises     ConfigError for a model or parameters river does not have, and when the tags do not fit to it
    """

    takes: ClassVar[frozenset[type]] = frozenset({Frame})

    def __init__(self, options: RiverOptions, context: DetectorContext) -> None:
        self._options = options
        self._names = names_by_machine(context)
        refuse_unusable(options, self._names)
        self._make = maker(options.steps)
        refuse_unworkable(options, self._make)
        self._condition, self._factors = options.condition, dict[str, float]()
        self._members = {machine: self._member(machine, names) for machine, names in self._names.items()}
        self._last = dict.fromkeys(self._names, 0)
        self._scores: Scores | None = None

    def _member(self, machine: str, names: tuple[str, ...]) -> Member:
        if self._options.kind == "drift":
            return Drifts(machine, names, self._options, self._make)
        member = Anomalies(machine, names, self._condition, self._options, self._make)
        member.tune(self._factors.get(machine, 1.0))
        return member

    def tune(self, machine: str, condition: str, factor: float) -> None:
        if condition == self._condition and machine in self._members:
            self._factors[machine] = factor
            self._members[machine].tune(factor)

    def learning(self) -> list[Learning]:
        return [told for member in self._members.values() for told in member.learning()]

    def forget(self, machine: str, tags: frozenset[str]) -> None:
        if machine in self._members:
            self._members[machine].forget(tags)

    def adopt(self, machine: str, tags: frozenset[str]) -> None:
        if machine in self._members:
            self._members[machine].adopt(tags)

    def show(self, scores: Scores | None) -> None:
        """Of each scored row, by machine; drift models have none."""
        self._scores = scores

    def skip(self, frame: Frame) -> None:
        self._members[frame.machine].over_budget(len(frame.t_ns))

    def leap(self, machine: str, delta_ns: int) -> None:
        if machine in self._members:
            self._last[machine] += delta_ns if self._last[machine] else 0
            self._members[machine].leap(delta_ns)

    def process(self, item: Batch | Frame | Waveform | Record) -> list[Finding]:
        assert isinstance(item, Frame)  # noqa: S101  `takes` says so
        machine = item.machine
        member = self._members[machine]
        table = item.x[:, [item.names.index(name) for name in member.names]]
        complete = np.atleast_1d((np.abs(table) < _HIGHEST).all(axis=1))  # NaN is not
        found: list[Finding] = []
        scored: list[tuple[int, float]] = []
        for i, t_ns in enumerate(item.t_ns.tolist()):
            if t_ns <= self._last[machine]:
                continue
            self._last[machine] = t_ns
            if not complete[i]:
                member.skip()
                continue
            found += self._row(member, t_ns, table[i])
            if member.rare is not None:
                scored.append((t_ns, member.rare))
        if self._scores is not None and scored:
            times, rare = zip(*scored, strict=True)
            self._scores([machine] * len(scored), np.array(times, dtype=np.int64), np.array(rare, dtype=np.float64))
        return found

    def _row(self, member: Member, t_ns: int, x: Floats) -> list[Finding]:
        with np.errstate(all="ignore"):
            return member.row(t_ns, x)

    def dump(self) -> bytes:
        return state.dump(self._options, {machine: (self._last[machine], member) for machine, member in self._members.items()})

    def load(self, saved: bytes) -> None:
        """A machine that has other tags now begins anew, and it alone; in which order they stand is all one."""
        members, last, refused = dict(self._members), dict(self._last), ""
        for machine, names, last_ns, arrays in state.read(self._options, saved):
            if machine not in members:
                continue
            if set(names) != set(self._names[machine]):
                refused = f"state of {machine} is of the tags {', '.join(names)}"
                continue
            members[machine], last[machine] = self._member(machine, names), last_ns
            try:
                members[machine].restore(arrays)
            except (KeyError, ValueError) as exc:
                raise StateError(f"state of {machine} is damaged: {exc}") from exc
        if refused and members == self._members:
            raise StateError(refused)
        self._members, self._last = members, last
