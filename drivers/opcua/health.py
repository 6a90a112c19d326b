"""How the server is, told once per change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from drivers.opcua.session import Session
from drivers.opcua.trust import FIRST_SANE_YEAR
from gateway.contract import Health, Json, Severity, SourceContext, Trouble

AHEAD = timedelta(days=60)
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

    def certificates(self, session: Session) -> None:
        """Ours and the server's: which one ends within 60 days. A clock of before 2020 knows nothing of it."""
        now = datetime.fromtimestamp(self._context.clock.now_ns() / 1e9, UTC)
        ends = {"ours": session.own, "the server's": None if session.theirs is None else session.theirs.not_valid_after_utc}
        soon = {whose: end for whose, end in ends.items() if end is not None and end - now < AHEAD}
        if now.year < FIRST_SANE_YEAR:
            soon = {}
        over = any(end < now for end in soon.values())
        clause = "; ".join(f"{whose} certificate {'ended' if end < now else 'ends'} on {end:%Y-%m-%d}" for whose, end in soon.items())
        severity = Severity.ERROR if over else Severity.WARNING
        facts: dict[str, Json] = {whose: end.isoformat() for whose, end in soon.items()}
        self._context.health(Health(trouble=Trouble.CERTIFICATE, active=bool(soon), why=clause, severity=severity, facts=facts))
