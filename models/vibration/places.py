"""Several points of one machine: what their channels say of one cause becomes one finding that names the place. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gateway.contract import Finding, Json, State

KINDS: Final = ("velocity", "bearing", "trend")
_FEWEST = 3
"""Points from which what all of them see is told from what one of them sees."""
_ALIKE = 1.5
_AS_STRONG = 0.8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a channel's sensor sits."""

    point: str
    direction: str

    @property
    def label(self) -> str:
        return f"{self.point} {self.direction}"


@dataclass(slots=True)
class Machine:
    """What the channels of one machine said last. Not part of the state: after a start each channel tells its opinions again.

    places     by tag name
    expected   by kind: the tags that have an opinion on it; an end is told when all of them were heard
    """

    places: Mapping[str, Place]
    expected: Mapping[str, frozenset[str]]
    said: dict[str, dict[str, Finding]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    heard_ns: dict[str, int] = field(default_factory=dict)
    changed_ns: dict[str, int] = field(default_factory=dict)

    def leap(self, delta_ns: int) -> None:
        """All its times were so much later."""
        for times in (self.heard_ns, self.changed_ns):
            for name in times:
                times[name] += delta_ns
        for said in self.said.values():
            for tag, finding in said.items():
                said[tag] = msgspec.structs.replace(finding, t_ns=finding.t_ns + delta_ns, since_ns=finding.since_ns + delta_ns)

    def hear(self, tag: str, t_ns: int, findings: Iterable[Finding]) -> list[Finding]:
        """What is to be told after this channel's block of `t_ns`: of causes, for the whole machine, and all else as it is.

        A change waits until the other channels have had their blocks of the same time, or a later one has come.
        """
        told, self.heard_ns[tag] = [], t_ns
        for finding in findings:
            kind = finding.condition.removeprefix(f"{tag}_")
            if kind in KINDS:
                self.said[kind][tag] = finding
                self.changed_ns.setdefault(kind, t_ns)
            else:
                told.append(finding)
        for kind, since_ns in list(self.changed_ns.items()):
            if t_ns > since_ns or all(self.heard_ns.get(other, since_ns - 1) >= since_ns for other in self.places):
                del self.changed_ns[kind]
                told += self._together(kind)
        return told

    def _together(self, kind: str) -> list[Finding]:
        said = self.said[kind]
        active = sorted((one for one in said.items() if one[1].state is State.ACTIVE), key=lambda one: -_strength(one[1]))
        if not active and not self.expected[kind] <= said.keys():
            return []
        points = [self._point(tag, finding) for tag, finding in active]
        seen_by_all = kind == "bearing" and self._common(dict(active))
        tag, chosen = _first(active) if active else next(iter(said.items()))
        place = self.places[tag]
        over = seen_by_all or not active
        explanation = {**chosen.explanation, "point": place.point, "direction": place.direction, "points": points}
        one = msgspec.structs.replace(
            chosen,
            condition=f"vibration_{kind}",
            state=State.OVER if over else State.ACTIVE,
            t_ns=max(finding.t_ns for finding in said.values()),
            since_ns=min(finding.since_ns for _, finding in active) if active else chosen.since_ns,
            severity=max(finding.severity for _, finding in active) if active else chosen.severity,
            tags=tuple(tag for tag, _ in active) or (tag,),
            explanation=explanation | ({"seen_by_all_points": True} if seen_by_all else {}),
            evidence={} if over else chosen.evidence,
            key="" if over else chosen.key,
        )
        return [one]

    def _point(self, tag: str, finding: Finding) -> Json:
        place = self.places[tag]
        return {
            "point": place.point,
            "direction": place.direction,
            "tag": tag,
            "strength": round(_strength(finding), 3),
            "key": finding.key,
        }

    def _common(self, active: Mapping[str, Finding]) -> bool:
        """All points began to see it before the first was sure, and see it equally strong: a restart, a neighbour, not one bearing."""
        strongest: dict[str, float] = {}
        for tag, finding in active.items():
            point = self.places[tag].point
            strongest[point] = max(strongest.get(point, 0.0), _strength(finding))
        every = {place.point for place in self.places.values()}
        if len(every) < _FEWEST or strongest.keys() != every:
            return False
        first = min(active.values(), key=lambda finding: finding.since_ns)
        together = all(finding.since_ns <= first.t_ns for finding in active.values())
        return together and max(strongest.values()) < _ALIKE * min(strongest.values())


def _first(active: list[tuple[str, Finding]]) -> tuple[str, Finding]:
    """The strongest; of those that are nearly as strong the earliest."""
    enough = _AS_STRONG * _strength(active[0][1])
    return min((one for one in active if _strength(one[1]) >= enough), key=lambda one: one[1].since_ns)


def _strength(finding: Finding) -> float:
    """Depth of modulation of a bearing's lines, whose score only says how sure they are; the score of all else."""
    depth = finding.explanation.get("depth", finding.score)
    return float(depth)
