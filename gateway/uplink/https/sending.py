"""What has become of the events of one call so far."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from gateway.contract import NotConnected, Outcome, OutcomeKind
from gateway.uplink.https.plan import Entry

_NOT_NOW = (OutcomeKind.RETRY, OutcomeKind.HOLD)
_ARRIVED = (OutcomeKind.SENT, OutcomeKind.DUPLICATE)
_IN_A_ROW = 3
_ANSWERS = 3


class Patience:
    """`seconds` for each answer, and three times that for all of them together: whoever answers is not hung, but others wait, too."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._end = seconds, asyncio.get_running_loop().time() + _ANSWERS * seconds
        self.deadline = asyncio.timeout(seconds)

    def answered(self) -> None:
        """It begins anew."""
        if not self.deadline.expired():
            self.deadline.reschedule(min(self._end, asyncio.get_running_loop().time() + self._seconds))


class Sending:
    """After the first "not now" nothing more is tried; what was not tried cannot have been taken."""

    def __init__(self, count: int, patience: Patience) -> None:
        self.patience = patience
        self._outcomes: list[Outcome | None] = [None] * count
        self._under_way: set[int] = set()
        self._refused: tuple[str, int] = ("", 0)
        self._taken = False
        self.stop: Outcome | None = None
        self._lost: NotConnected | None = None

    def refuses(self, outcomes: Iterable[tuple[int, Outcome]]) -> None:
        """Of events that were never sent."""
        for row, outcome in outcomes:
            self._outcomes[row] = outcome

    def begins(self, entries: Sequence[Entry]) -> None:
        self._under_way |= {row for entry in entries for row in entry.rows}

    def ends(self, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> None:
        """One outcome per entry."""
        self._taken = self._taken or any(outcome.kind in _ARRIVED for outcome in outcomes)
        for entry, outcome in zip(entries, outcomes, strict=True):
            for row in entry.rows:
                self._outcomes[row] = outcome
            self._under_way -= set(entry.rows)
            if outcome.kind in _NOT_NOW:
                self.stop = self.stop or Outcome(outcome.kind, outcome.reason, outcome.after_seconds)
            else:
                self._notice(outcome)

    def splits(self, entries: Sequence[Entry]) -> None:
        """Refused: nothing of it is under way any more."""
        self._under_way -= {row for entry in entries for row in entry.rows}

    def _notice(self, outcome: Outcome) -> None:
        """Halving on, when everything is refused for one reason, would cost hundreds of requests and tell nothing new."""
        if outcome.kind is not OutcomeKind.PARK or not outcome.code:
            self._refused = ("", 0)
            return
        code, count = self._refused
        self._refused = (outcome.code, count + 1 if code == outcome.code else 1)
        if self._refused[1] >= _IN_A_ROW and not self._taken:
            self.stop = self.stop or Outcome.hold(f"everything is refused with {outcome.code} ({outcome.reason})"[:500])

    def loses(self, exc: NotConnected, entries: Sequence[Entry]) -> None:
        """There was no connection to send them on."""
        self.splits(entries)
        self._lost = self._lost or exc
        self.stop = self.stop or Outcome.retry(str(exc))

    def hangs(self, why: str) -> None:
        """What was under way may have been taken."""
        self._lost = None
        for row in self._under_way:
            self._outcomes[row] = Outcome.retry(why, unknown=True)
        self.stop = Outcome.retry(why)

    def outcomes(self) -> list[Outcome]:
        """Raises NotConnected when nothing was answered at all."""
        if self._lost is not None and not any(self._outcomes):
            raise self._lost
        rest = self.stop or Outcome.retry("not tried")
        return [got or rest for got in self._outcomes]
