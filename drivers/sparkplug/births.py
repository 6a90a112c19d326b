"""What the births of an edge node told: which metric an alias is, and of which datatype."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drivers.sparkplug.pick import MISSING, member
from gateway.contract import Tag

MOST_ALIASES = 200_000


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that tags read. `members`: datatypes of those of a template that tags read, by path: data need not repeat them."""

    name: str
    datatype: int
    alias: int | None
    tags: Sequence[Tag]
    members: Mapping[str, int]


@dataclass(slots=True)
class Birth:
    """Of an edge node or of one of its devices.

    metrics   by name, those that tags read
    aliases   of all metrics; None: no tag reads it
    """

    metrics: dict[str, Metric] = field(default_factory=dict)
    aliases: dict[int, Metric | None] = field(default_factory=dict)

    def learn(self, metrics: Iterable[Any], wanted: Mapping[str, Sequence[Tag]]) -> None:
        """From the metrics of a birth message."""
        for told in metrics:
            name, alias = told.name, told.alias if told.HasField("alias") else None
            metric = Metric(name, told.datatype, alias, wanted[name], _members(told, wanted[name])) if name in wanted else None
            if metric is not None:
                self.metrics[name] = metric
            if alias is not None and (metric is not None or len(self.aliases) < MOST_ALIASES):
                self.aliases[alias] = metric

    @property
    def whole(self) -> bool:
        """It has an entry for every alias its node uses."""
        return len(self.aliases) < MOST_ALIASES

    def dump(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "metrics": [[metric.name, metric.datatype, metric.alias, metric.members] for metric in self.metrics.values()],
            "others": [alias for alias, metric in self.aliases.items() if metric is None],
        }

    @classmethod
    def load(cls, known: Any, wanted: Mapping[str, Sequence[Tag]]) -> Birth:
        """What `dump` gave; raises KeyError, TypeError or ValueError for what it did not give."""
        birth = cls(aliases={int(alias): None for alias in known["others"]})
        for name, datatype, alias, *more in known["metrics"]:
            members = {str(path): int(kind) for path, kind in more[0].items()} if more else {}
            metric = birth.metrics[name] = Metric(str(name), int(datatype), None if alias is None else int(alias), wanted[name], members)
            if metric.alias is not None:
                birth.aliases[metric.alias] = metric
        return birth


def _members(told: Any, tags: Sequence[Tag]) -> dict[str, int]:
    found = {tag.options.member: member(told, tag.options.member) for tag in tags if tag.options.member is not None}
    return {path: metric.datatype for path, metric in found.items() if metric is not MISSING}
