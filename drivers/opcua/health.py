"""How the server is, told once per change."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.contract import Health, Json, SourceContext, Trouble

_NAMED = 20


class Told:
    """Of one source."""

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._facts: dict[str, Json] = {}
        self._refused: Mapping[int, str] = {}

    def fact(self, name: str, value: Json) -> None:
        """Stands in every case from now on; no trouble by itself."""
        if self._facts.get(name) != value:
            self._facts[name] = value
            self.refused(self._refused)

    def refused(self, refused: Mapping[int, str]) -> None:
        """Nodes that are not read, by position, and why."""
        self._refused = dict(refused)
        tags, records = self._context.tags, self._context.records
        names = [tag.name for tag in tags] + [""] + [record.name for record in records]
        nodes: dict[str, Json] = {names[position]: reason for position, reason in sorted(refused.items())[:_NAMED]}
        reasons = sorted(set(refused.values()))
        clause = f"{len(refused)} of {len(tags) + len(records)} nodes are refused: {', '.join(reasons[:3])}" if refused else ""
        facts = {**self._facts, **({"nodes": nodes} if nodes else {})}
        self._context.health(Health(trouble=Trouble.DEGRADED, active=bool(refused), why=clause, facts=facts))
