"""What a scenario found, beside what it should: one JSON line, one row of RESULTS.md."""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """A figure that must hold: `value` is at least (``>=``) or at most (``<=``) `limit`."""

    name: str
    value: float
    sign: str
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.sign == ">=" else self.value <= self.limit

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name} {_number(self.value)}{unit} ({self.sign.replace('>=', '≥').replace('<=', '≤')} {_number(self.limit)})"


@dataclass(frozen=True)
class Result:
    """`facts` are figures without a target, `peers` what a user would pick instead; `skipped` says why it did not run,
    `broken` what ended it.
    """

    scenario: str
    targets: tuple[Target, ...] = ()
    facts: dict[str, object] = field(default_factory=dict)
    peers: str = ""
    skipped: str = ""
    broken: str = ""

    @property
    def met(self) -> bool:
        return not self.broken and all(target.met for target in self.targets)

    def line(self) -> str:
        found = {
            target.name: {"value": round(target.value, 4), "must": f"{target.sign} {target.limit:g}", "met": target.met}
            for target in self.targets
        }
        why = {name: text for name, text in (("skipped", self.skipped), ("broken", self.broken)) if text}
        return json.dumps({"scenario": self.scenario, **found, **self.facts, **why})

    def row(self) -> str:
        if self.skipped:
            return f"| {self.scenario} | not run: {self.skipped} | | {self.peers} |"
        told = f"broke off: {self.broken}" if self.broken else "; ".join(map(str, self.targets))
        return f"| {self.scenario} | {told} | {'yes' if self.met else '**no**'} | {self.peers} |"


def percentile(values: list[float], part: float) -> float:
    """Nearest rank; NaN of nothing.

    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5)
    2.0
    """
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -(-int(part * 1000) * len(ordered) // 1000) - 1))]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
