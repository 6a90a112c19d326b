"""One river model per machine, fed with the machine's rows."""

from __future__ import annotations

import re
from typing import ClassVar

import numpy as np

from gateway.contract import Batch, DetectorContext, Finding, Frame, Record, StateError, Waveform
from models.river import state
from models.river.anomalies import Anomalies
from models.river.catalogue import maker
from models.river.config import RiverOptions
from models.river.drifts import Drifts
from models.river.member import Member
from models.river.watched import names_by_machine


class River:
    """Feeds each machine's complete rows to a model of its own.

    frame      a machine's tags side by side; a row with a missing value is neither scored nor learnt, only counted
    returns    anomaly models: ``<model>_anomaly`` (``half_space_trees_anomaly``), ACTIVE when the mean score of
               `smooth_rows` rows is rarer among the model's own scores than `false_alarms_per_week` allows;
               drift models: the fact ``drift_detected`` per tag
    score      anomaly: -log10 of the probability of such a score, 0 to 30; drift: 1
    state      `remember` rows and scores per machine; after `load` the model learns these rows again (see `Past`)
    Raises     ConfigError for a model or parameters river does not have, and when no tag has single values
    """

    takes: ClassVar[frozenset[type]] = frozenset({Frame})

    def __init__(self, options: RiverOptions, context: DetectorContext) -> None:
        self._options = options
        self._make = maker(options.model, options.parameters)
        self._names = names_by_machine(context)
        self._condition, self._factors = condition(options.model), dict[str, float]()
        self._members = {machine: self._member(machine) for machine in self._names}
        self._last = dict.fromkeys(self._names, 0)

    def _member(self, machine: str) -> Member:
        names = self._names[machine]
        if self._options.model.startswith("drift."):
            return Drifts(machine, names, self._options, self._make)
        member = Anomalies(machine, names, self._condition, self._options, self._make)
        member.tune(self._factors.get(machine, 1.0))
        return member

    def tune(self, machine: str, condition: str, factor: float) -> None:
        """The threshold of a machine's anomaly model; drift models have none, and a condition it does not have is ignored."""
        member = self._members.get(machine)
        if isinstance(member, Anomalies) and condition == self._condition:
            self._factors[machine] = factor
            member.tune(factor)

    def process(self, item: Batch | Frame | Waveform | Record) -> list[Finding]:
        assert isinstance(item, Frame)  # noqa: S101  `takes` says so
        member = self._members[item.machine]
        columns = [item.names.index(name) for name in member.names]
        table = item.x[:, columns]
        complete = np.atleast_1d(np.isfinite(table).all(axis=1))
        found: list[Finding] = []
        for i, t_ns in enumerate(item.t_ns.tolist()):
            if t_ns <= self._last[item.machine]:
                continue
            self._last[item.machine] = t_ns
            if complete[i]:
                found += member.row(t_ns, table[i])
            else:
                member.skip()
        return found

    def dump(self) -> bytes:
        return state.dump(self._options, {machine: (self._last[machine], member) for machine, member in self._members.items()})

    def load(self, saved: bytes) -> None:
        members, last = dict(self._members), dict(self._last)
        for machine, names, last_ns, arrays in state.read(self._options, saved):
            if machine not in members:
                continue
            if names != self._names[machine]:
                raise StateError(f"state of {machine} is of the tags {', '.join(names)}")
            members[machine], last[machine] = self._member(machine), last_ns
            try:
                members[machine].restore(arrays)
            except (KeyError, ValueError) as exc:
                raise StateError(f"state of {machine} is damaged: {exc}") from exc
        self._members, self._last = members, last


def condition(model: str) -> str:
    """
    >>> condition("anomaly.HalfSpaceTrees"), condition("anomaly.LODA"), condition("anomaly.OneClassSVM")
    ('half_space_trees_anomaly', 'loda_anomaly', 'one_class_svm_anomaly')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model.split(".")[1]).lower() + "_anomaly"
