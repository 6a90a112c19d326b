"""How many changes one may make in a minute: each is a line of the audit, and nobody is to push the old ones out with new ones."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from aiohttp import web

from gateway.web.access import WHO
from gateway.web.guard import Handler, problem

MOST: Final = 60
_MINUTE: Final = 60.0


class Pace:
    """Of everybody who changes something; names are those of accounts, so there are no more than those."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._began = monotonic()
        self._changes: Counter[str] = Counter()

    def of(self, handler: Handler) -> Handler:
        """Asked only that often; 429 beyond."""

        async def asked(request: web.Request) -> web.StreamResponse:
            if (wait := self._wait(str(request[WHO]))) > 0:
                return problem(429, f"{MOST} changes a minute are as many as one may make", {"Retry-After": str(wait)})
            return await handler(request)

        return asked

    def _wait(self, who: str) -> int:
        """Seconds; 0: it is counted, and may be made."""
        since = self._monotonic() - self._began
        if since >= _MINUTE:
            self._began, since = self._monotonic(), 0.0
            self._changes.clear()
        if self._changes[who] >= MOST:
            return int(_MINUTE - since) + 1
        self._changes[who] += 1
        return 0
