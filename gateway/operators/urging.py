"""Tries a destination now, rather than when its wait is over: somebody has mended what it refused, and knows better."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from gateway.contract import Clock
from gateway.operators.renewal import NOT_DONE
from gateway.outbox.requests import Request
from gateway.telemetry.status import Link

STILL = "takes nothing yet: "
PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 0.1


class Urging:
    """
    names   of the destinations
    urge    begins anew with one; a text: nothing held it back, or only this budget of ours
    """

    def __init__(self, names: Callable[[], Collection[str]], urge: Callable[[str], Awaitable[Link | str]], clock: Clock) -> None:
        self._names, self._urge, self._clock = names, urge, clock

    async def do(self, request: Request) -> str:
        """What came of it, for people; begins with `NOT_DONE` or `STILL` if it takes nothing."""
        name, names = request.machine, sorted(self._names())
        if name not in names:
            return f"{NOT_DONE}there is no destination {name!r}; there are {', '.join(names) or 'none'}"
        link = await self._urge(name)
        if isinstance(link, str):
            return f"nothing holds {name} back{f' but {link}' if link else ''}: it was not refused, and it answers"
        until = self._clock.monotonic() + PATIENCE_SECONDS
        while link.state == "connecting" and self._clock.monotonic() < until:
            await self._clock.sleep(_LOOK_SECONDS)
        if link.state == "down":
            return f"{STILL}{name}: {link.why}"
        return f"{name} answers" if link.state == "up" else f"{name} is being tried, and has not answered yet"
