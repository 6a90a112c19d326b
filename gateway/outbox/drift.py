"""Tells a receiver that changed from events that are wrong: the same refusal for everything is the receiver's fault.

An administrator renames a field, and every event is refused with ``INVALID_FIELD``: parking ten thousand good events one
after the other would be wrong. So after a few refusals of one code in a row, with nothing taken between, they are held
instead. Single probes of several machines then decide: one that is taken acquits the receiver for a while, and what is
refused with that code is parked again.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.contract import Clock, Outcome, OutcomeKind

IN_A_ROW = 3
ACQUITTED_SECONDS = 600.0
_TAKEN = (OutcomeKind.SENT, OutcomeKind.DUPLICATE)


class Drift:
    """Of one destination. Pure but for the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._code = ""
        self._row = 0
        self._acquitted: dict[str, float] = {}

    @property
    def suspected(self) -> str:
        """The code that everything is refused with; empty: nothing is suspected."""
        return self._code if self._row >= IN_A_ROW else ""

    def judge(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """The same outcomes, but refusals that are the receiver's fault as HOLD."""
        was = self.suspected
        for outcome in outcomes:
            self._count(outcome)
        if was and any(outcome.kind in _TAKEN for outcome in outcomes):
            self._acquitted[was] = self._clock.monotonic() + ACQUITTED_SECONDS
        code = self.suspected
        if not code:
            return list(outcomes)
        why = f"everything is refused with {code}: the receiver has changed"
        return [_held(outcome, why) if outcome.kind is OutcomeKind.PARK and outcome.code == code else outcome for outcome in outcomes]

    def _count(self, outcome: Outcome) -> None:
        if outcome.kind in _TAKEN:
            self._code, self._row = "", 0
        elif outcome.kind is OutcomeKind.PARK:
            code = "" if self._acquitted.get(outcome.code, 0.0) > self._clock.monotonic() else outcome.code
            self._row = self._row + 1 if code and code == self._code else int(bool(code))
            self._code = code


def _held(outcome: Outcome, why: str) -> Outcome:
    return Outcome.hold(f"{why} ({outcome.reason})"[:500])
