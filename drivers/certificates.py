"""No driver: when certificates end, for those that speak TLS. Told on connecting and once a day, as a connection may last for years."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from ssl import cert_time_to_seconds

from gateway.contract import Health, Json, Severity, SourceContext, Trouble

AHEAD = timedelta(days=60)
FIRST_SANE_YEAR = 2020
"""A clock of before knows nothing of the end of anything."""
LOOK_SECONDS = 86_400.0


class Certificates:
    """Of one source. `ends`: whose -> when, of the present connection; without any it says nothing."""

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._ends: Mapping[str, datetime] = {}
        self._look_at = inf

    def seen(self, ends: Mapping[str, datetime]) -> None:
        """A connection was made."""
        self._ends, self._look_at = ends, -inf if ends else inf
        self.look()

    def look(self) -> None:
        """As often as one likes."""
        now = self._context.clock.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._context.health(expiring(self._ends, self._context.clock.now_ns()))


def expiring(ends: Mapping[str, datetime], now_ns: int) -> Health:
    """Which of them end within 60 days, or have ended."""
    now = datetime.fromtimestamp(now_ns / 1e9, UTC)
    soon = {whose: end for whose, end in ends.items() if end - now < AHEAD and now.year >= FIRST_SANE_YEAR}
    clause = "; ".join(f"{whose} certificate {'ended' if end < now else 'ends'} on {end:%Y-%m-%d}" for whose, end in soon.items())
    severity = Severity.ERROR if any(end < now for end in soon.values()) else Severity.WARNING
    facts: dict[str, Json] = {whose: end.isoformat() for whose, end in soon.items()}
    return Health(trouble=Trouble.CERTIFICATE, active=bool(soon), why=clause, severity=severity, facts=facts)


def own_end(file: Path | None) -> dict[str, datetime]:
    """Of our certificate (PEM), where we show one. Blocks on the file; raises OSError and ValueError."""
    if file is None:
        return {}
    from cryptography import x509  # 10 MB that a gateway without certificates does not need

    return {"our": x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc}


def peer_end(whose: str, transport: asyncio.BaseTransport) -> dict[str, datetime]:
    """Of the certificate a TLS connection was shown; `whose` is the word for its owner."""
    shown = transport.get_extra_info("peercert")
    return {whose: datetime.fromtimestamp(cert_time_to_seconds(shown["notAfter"]), UTC)} if shown else {}
