"""How wrong this gateway's clock is, as a receiver that refused what we signed with it shows by its own."""

from __future__ import annotations

import logging

from gateway.contract import UplinkContext
from gateway.uplink.https.answers import Answer

log = logging.getLogger("lineside")
_LEAST_SECONDS = 30.0


class Skew:
    """`peer` is whose clock it is compared with."""

    def __init__(self, context: UplinkContext, peer: str) -> None:
        self._context, self._peer = context, peer
        self._seconds = 0.0

    @property
    def now_seconds(self) -> float:
        """By their clock, as far as it is known."""
        return self._context.clock.now_ns() / 1e9 + self._seconds

    def learnt(self, answer: Answer) -> bool:
        """From the Date of a refusal: whether the time was to blame for it. Told once for each change."""
        theirs = answer.clock_seconds()
        if theirs is None or abs(theirs - self.now_seconds) < _LEAST_SECONDS:
            return False
        self._seconds = theirs - self._context.clock.now_ns() / 1e9
        facts = {"destination": self._context.name, "clock_behind_seconds": round(self._seconds), "by": self._peer}
        log.warning("clock skew: this gateway's clock is wrong; signing with the time of the other side", extra={"fields": facts})
        return True
