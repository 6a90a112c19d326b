"""Which machines a receiver is in trouble with, while it takes the events of the others. Pure but for the clock.

doubted     an event of it was answered with RETRY as a probe: its own fault or the receiver's, nobody knows yet
on trial    the receiver took another machine's event since, or its time aside is over: its oldest event is sent alone
set aside   that was answered with RETRY too: its events wait in a lane of their own for a while
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gateway.contract import Clock

ASIDE_SECONDS = 600.0
MOST = 1000
"""Machines known here at the same time; beyond, none more."""


def a_few(machines: Collection[str]) -> str:
    """
    >>> a_few({"m4", "m2", "m1", "m3", "m5"})
    'm1, m2, m3 and 2 more'
    """
    first = sorted(machines)[:3]
    return ", ".join(first) + (f" and {len(machines) - len(first)} more" if len(machines) > len(first) else "")


class Aside:
    """For one destination. A machine is the `partitionkey` of its events."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._doubted: set[str] = set()
        self._trial_at: dict[str, float] = {}
        self._set: set[str] = set()

    @property
    def suspects(self) -> list[str]:
        """Of no use as a probe of the receiver."""
        return [*self._trial_at, *self._doubted]

    @property
    def why(self) -> str:
        """For the status; empty while nothing is set aside."""
        return f"set aside: {a_few(self._set)}" if self._set else ""

    def recall(self, machines: Iterable[tuple[str, float]]) -> None:
        """Set aside before a restart: each with the seconds it has left."""
        now = self._clock.monotonic()
        for machine, seconds in machines:
            self._set.add(machine)
            self._trial_at[machine] = now + min(max(seconds, 0.0), ASIDE_SECONDS)

    def on_trial(self) -> str | None:
        """A machine whose oldest event is to be sent now."""
        now = self._clock.monotonic()
        return next((machine for machine, at in self._trial_at.items() if at <= now), None)

    def tried(self, machine: str) -> bool:
        """It is on trial or set aside."""
        return machine in self._trial_at

    def doubt(self, machine: str) -> None:
        """Its event failed as a probe. That tells nothing new of one that is tried by itself, only that another one is the next probe."""
        if machine in self._trial_at:
            self._trial_at[machine] = self._trial_at.pop(machine)
        elif len(self.suspects) < MOST:
            self._doubted.add(machine)

    def all_doubted(self) -> None:
        """No other machine's event is left as a probe: begin again with the oldest."""
        self._doubted.clear()

    def failed(self, machine: str) -> bool:
        """Its trial did; True when that is news."""
        news = machine not in self._set
        self._set.add(machine)
        self._trial_at[machine] = self._clock.monotonic() + ASIDE_SECONDS
        return news

    def passed(self, machine: str) -> bool:
        """An event of it was taken, so the receiver is well: who was doubted is on trial. True when it was set aside."""
        self._doubted.discard(machine)
        self._trial_at.pop(machine, None)
        self._trial_at |= dict.fromkeys(self._doubted, self._clock.monotonic())
        self._doubted.clear()
        was_aside = machine in self._set
        self._set.discard(machine)
        return was_aside
