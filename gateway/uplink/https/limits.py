"""Allowances that Salesforce tells in two places: API calls with each answer, platform events of the hour only when asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from gateway.contract import Clock, NotConnected, Usage
from gateway.uplink.https.soql import Get

log = logging.getLogger("lineside")
EVERY_SECONDS = 900.0
FORBIDDEN_SECONDS = 86_400.0
_PATIENCE_SECONDS = 2.0
_NAMES = ("DailyApiRequests", "HourlyPublishedPlatformEvents")


class Limits:
    """Tells the tightest of what is known, so that neither source hides the other.

    used   `UplinkContext.used`
    path   ``/services/data/v66.0/limits``
    """

    def __init__(self, get: Get, used: Callable[[Usage], None], clock: Clock, path: str) -> None:
        self._get, self._used, self._clock, self._path = get, used, clock, path
        self._due = 0.0
        self._known: dict[str, Usage] = {}
        self._hour = -1

    def told(self, usage: Usage) -> None:
        """Of API calls, from the header of an answer."""
        self._known["DailyApiRequests"] = usage
        self._tell()

    async def ask(self) -> None:
        """At most every quarter of an hour, for it costs a call. Never raises: the permission to see limits is optional."""
        now = self._clock.monotonic()
        if now < self._due:
            return
        self._due = now + EVERY_SECONDS
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):  # outcomes that are known already wait for it
                said = await self._get(self._path)
        except TimeoutError:
            return
        except NotConnected as exc:
            if " 403 " in exc.why:
                self._due = now + FORBIDDEN_SECONDS
                log.info("limits may not be seen", extra={"fields": {"peer": exc.peer, "why": exc.why[:200]}})
            return
        self._known |= {name: usage for name in _NAMES if (usage := usage_of(said, name))}
        self._hour = self._clock.now_ns() // 3_600_000_000_000
        self._tell()

    def _tell(self) -> None:
        if self._clock.now_ns() // 3_600_000_000_000 != self._hour:
            self._known.pop("HourlyPublishedPlatformEvents", None)  # it began anew with the hour
        if self._known:
            self._used(max(self._known.values(), key=lambda usage: usage.used / usage.limit))


def usage_of(said: Any, name: str) -> Usage | None:
    """
    >>> usage_of({"DailyApiRequests": {"Max": 100, "Remaining": 40}}, "DailyApiRequests")
    Usage(used=60.0, limit=100.0)
    """
    found = said.get(name) if isinstance(said, dict) else None
    if not isinstance(found, dict):
        return None
    most, left = found.get("Max"), found.get("Remaining")
    if not isinstance(most, int | float) or not isinstance(left, int | float) or most <= 0:
        return None
    return Usage(float(most - left), float(most))
