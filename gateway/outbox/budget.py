"""How many events a destination may be given: token buckets, with a reserve that only critical events may use. Pure but for the clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import floor, inf
from typing import NamedTuple

from gateway.contract import BudgetOptions, Clock, Event, Usage

HOUR, DAY = 3600.0, 86_400.0
STARVED_SECONDS = 900.0
"""After the receiver's own allowance came down to the reserve: one look every so often whether it has recovered."""
UNLIMITED = 1 << 30
_MACHINE = "machine/"
_MOST_MACHINES = 10_000


class Filling(NamedTuple):
    """One bucket as it is written down.

    tokens   less than a full one has: what was spent stays spent, and nothing more, when the limit is another one afterwards
    """

    bucket: str
    tokens: float
    at_ns: int


class Bucket:
    """Holds `capacity` tokens and is filled from empty in `seconds`."""

    def __init__(self, clock: Clock, capacity: float, seconds: float) -> None:
        self._clock, self.capacity, self._rate = clock, capacity, capacity / seconds
        self._tokens, self._at = capacity, clock.monotonic()

    @property
    def tokens(self) -> float:
        now = self._clock.monotonic()
        self._tokens, self._at = min(self.capacity, self._tokens + (now - self._at) * self._rate), now
        return self._tokens

    def spend(self, count: float) -> None:
        self._tokens = self.tokens - count

    def wait_seconds(self, count: float) -> float:
        """Until so many are there."""
        return max(0.0, (count - self.tokens) / self._rate)

    def refill(self, tokens: float, seconds_ago: float) -> None:
        """As it was so long ago, as a `Filling` says it; a clock that went back gives nothing, one that leapt fills it at most. A limit
        that was lowered finds it empty at most.
        """
        self._tokens = min(self.capacity, max(0.0, self.capacity + tokens) + max(0.0, seconds_ago) * self._rate)
        self._at = self._clock.monotonic()


class Budget:
    """Of one destination."""

    def __init__(self, clock: Clock, options: BudgetOptions | None) -> None:
        self._clock, self._options = clock, options or BudgetOptions()
        limits = {"hour": (self._options.per_hour, HOUR), "day": (self._options.per_day, DAY)}
        self._buckets = {name: Bucket(clock, limit, seconds) for name, (limit, seconds) in limits.items() if limit}
        self._machines: dict[str, Bucket] = {}
        self._touched: set[str] = set()
        self._usage = Usage(0, 0)
        self._look_at = 0.0

    @property
    def limited(self) -> bool:
        """Anything is limited here."""
        return bool(self._buckets or self._options.per_machine_and_day or self._usage.limit)

    @property
    def by_machine(self) -> bool:
        """Each machine has a day of its own."""
        return bool(self._options.per_machine_and_day)

    def allowed(self, *, critical: bool) -> int:
        """How many events may go now."""
        share = 0.0 if critical else self._options.reserve
        if not critical and self._starved():
            return 0
        return max(0, min([UNLIMITED, *(floor(b.tokens - share * b.capacity + 1e-9) for b in self._buckets.values())]))

    def wait_seconds(self) -> float:
        """Until one that is not critical may go; infinite is never returned."""
        waits = [b.wait_seconds(1 + self._options.reserve * b.capacity) for b in self._buckets.values()]
        return max([0.0, self._look_at - self._clock.monotonic() if self._starved() else 0.0, *waits])

    def why(self) -> str:
        """Which limit is reached."""
        if self._starved():
            return f"the receiver's own allowance is used up to the reserve ({self._usage.used:g} of {self._usage.limit:g})"
        least = min(self._buckets, key=lambda name: self._buckets[name].tokens / self._buckets[name].capacity, default="")
        return f"budget per_{least}" if least else "budget"

    def told(self, usage: Usage) -> None:
        """What the receiver says of its allowance."""
        if usage.limit > 0:
            self._usage, self._look_at = usage, self._clock.monotonic() + STARVED_SECONDS

    def _starved(self) -> bool:
        over = self._usage.limit > 0 and self._usage.used >= (1 - self._options.reserve) * self._usage.limit
        return over and self._clock.monotonic() < self._look_at

    def room(self, machine: str) -> int:
        """Events of this machine that may go now, critical ones aside."""
        limit = self._options.per_machine_and_day
        return floor(self._machine(machine, limit).tokens - self._options.reserve * limit + 1e-9) if limit else UNLIMITED

    def machine_wait_seconds(self, machine: str, after: int = 0) -> float:
        """Until one more may go, when so many go now."""
        limit = self._options.per_machine_and_day
        return self._machine(machine, limit).wait_seconds(after + 1 + self._options.reserve * limit) if limit else 0.0

    def _machine(self, machine: str, limit: int) -> Bucket:
        if machine not in self._machines:
            if len(self._machines) >= _MOST_MACHINES:
                self._machines.pop(next(iter(self._machines)))
            self._machines[machine] = Bucket(self._clock, limit, DAY)
        return self._machines[machine]

    def spend(self, events: Sequence[Event]) -> None:
        """They were taken."""
        for name, bucket in self._buckets.items():
            bucket.spend(len(events))
            self._touched.add(name)
        limit = self._options.per_machine_and_day
        if limit:
            for machine, count in Counter(event.partitionkey for event in events).items():
                self._machine(machine, limit).spend(count)
                self._touched.add(_MACHINE + machine)

    def fillings(self) -> list[Filling]:
        """What changed since the last time, to be written down."""
        touched, self._touched = self._touched, set()
        now_ns = self._clock.now_ns()
        buckets = [(name, bucket) for name in sorted(touched) if (bucket := self._bucket(name)) is not None]
        return [Filling(name, bucket.tokens - bucket.capacity, now_ns) for name, bucket in buckets]

    def recall(self, fillings: Iterable[Filling]) -> None:
        """Go on as before the restart; buckets that are not configured any more are forgotten."""
        for name, tokens, at_ns in fillings:
            bucket = self._bucket(name)
            if bucket is not None:
                bucket.refill(tokens, (self._clock.now_ns() - at_ns) / 1e9)

    def _bucket(self, name: str) -> Bucket | None:
        limit = self._options.per_machine_and_day
        if name.startswith(_MACHINE):
            return self._machine(name.removeprefix(_MACHINE), limit) if limit else None
        return self._buckets.get(name)


class Pace:
    """At most `per_second` of the backlog; without it, no limit."""

    def __init__(self, clock: Clock, per_second: float | None) -> None:
        self._bucket = None if per_second is None else Bucket(clock, max(1.0, per_second), max(1.0, per_second) / per_second)

    @property
    def set(self) -> bool:
        return self._bucket is not None

    def allowed(self) -> int:
        return floor(self._bucket.tokens + 1e-9) if self._bucket else UNLIMITED

    def spend(self, count: int) -> None:
        if self._bucket:
            self._bucket.spend(count)

    def wait_seconds(self) -> float:
        return self._bucket.wait_seconds(1) if self._bucket else inf
