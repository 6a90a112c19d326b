"""Messages of one edge node in the order of their sequence numbers, 0 to 255: Sparkplug 3.0, section 6.4.3. Pure."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

Message = TypeVar("Message")
MOST_HELD = 32
_ROUND = 256


class Order(Generic[Message]):
    """Holds what overtook others until they came, or until it has waited long enough.

    expected   the number that is next; None: whichever comes
    due        when what is held has waited long enough, monotonic seconds; None: nothing is held
    """

    def __init__(self, wait_seconds: float) -> None:
        self._wait = wait_seconds
        self.expected: int | None = None
        self.due: float | None = None
        self._held: dict[int, Message] = {}
        self._last: Any = None
        self._instead: frozenset[int] = frozenset()

    def arrived(self, seq: int, message: Message, now: float) -> list[Message]:
        """What is in order now, this or earlier ones with it; empty if it waits, or was there before."""
        if seq == self.expected and not self._held:
            self.expected, self._last, self._instead = (seq + 1) % _ROUND, message, frozenset()
            return [message]
        if self.expected is None or (seq != self.expected and seq in self._instead):
            self.expected = seq
        self._instead = frozenset()
        if seq != self.expected:
            if message != self._last or (seq + 1) % _ROUND != self.expected:
                self._held.setdefault(seq, message)
                self.due = now + self._wait if self.due is None else self.due
            return []
        self._held[seq] = message
        return self._run()

    def full(self) -> bool:
        """More is held than a node that lost a message would send."""
        return len(self._held) > MOST_HELD

    def give_up(self) -> tuple[int, list[Message]]:
        """(how many never came, all that is held in its order): the next one is what follows the last."""
        first = self.expected or 0
        rest = sorted(self._held, key=lambda seq: (seq - first) % _ROUND)
        held = [self._held[seq] for seq in rest]
        missing = (rest[-1] - first) % _ROUND + 1 - len(rest) if rest else 0
        if rest:
            self.expected, self._last = (rest[-1] + 1) % _ROUND, held[-1]
        self._held.clear()
        self.due = None
        return missing, held

    def born(self, seq: int | None) -> tuple[list[Message], list[Message]]:
        """A birth with this number begins anew: (what was held before it, what had overtaken it).

        Some nodes that are asked for a birth go on to count as if there had been none: that is taken, too.
        """
        if seq is None:
            _, before = self.give_up()
            self.expected = None
            return before, []
        went_on, after = self.expected, list[int]()
        while (seq + 1 + len(after)) % _ROUND in self._held and len(after) < len(self._held):
            after.append((seq + 1 + len(after)) % _ROUND)
        ahead = [self._held.pop(each) for each in after]
        _, before = self.give_up()
        self.expected, self._last = (seq + 1 + len(after)) % _ROUND, ahead[-1] if ahead else None
        if went_on is not None and not ahead:
            self._instead = frozenset({went_on, (went_on + 1) % _ROUND})
        return before, ahead

    def _run(self) -> list[Message]:
        ready: list[Message] = []
        while self.expected is not None and self.expected in self._held:
            ready.append(self._held.pop(self.expected))
            self.expected = (self.expected + 1) % _ROUND
        self._last = ready[-1]
        if not self._held:
            self.due = None
        return ready
