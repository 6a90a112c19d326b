"""Which machines a receiver is in trouble with, while it takes the events of the others. Pure but for the clock.

doubted     an event of it was answered with RETRY as a probe: its own fault or the receiver's, nobody knows yet
on trial    the receiver took another machine's event since, or its time aside is over: its oldest event is sent alone
set aside   that was answered with RETRY too: the machine is left out for a while, its events wait in their order
"""

from __future__ import annotations

from gateway.contract import Clock

ASIDE_SECONDS = 600.0
MOST = 1000
"""Machines known here at the same time; beyond, none more."""


class Aside:
    """For one destination. A machine is the `partitionkey` of its events."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._doubted: set[str] = set()
        self._trial_at: dict[str, float] = {}
        self._told: set[str] = set()

    @property
    def left_out(self) -> list[str]:
        """On trial or set aside: in no batch."""
        return list(self._trial_at)

    @property
    def suspects(self) -> list[str]:
        """Of no use as a probe of the receiver."""
        return [*self._trial_at, *self._doubted]

    @property
    def why(self) -> str:
        """For the status; empty while nothing is set aside."""
        first = sorted(self._told)[:3]
        more = f" and {len(self._told) - len(first)} more" if len(self._told) > len(first) else ""
        return f"set aside: {', '.join(first)}{more}" if first else ""

    def on_trial(self) -> str | None:
        """A machine whose oldest event is to be sent now."""
        now = self._clock.monotonic()
        return next((machine for machine, at in self._trial_at.items() if at <= now), None)

    def doubt(self, machine: str) -> None:
        """Its event failed as a probe."""
        if len(self.suspects) < MOST:
            self._doubted.add(machine)

    def all_doubted(self) -> None:
        """No other machine's event is left as a probe: begin again with the oldest."""
        self._doubted.clear()

    def failed(self, machine: str) -> bool:
        """Its trial did; True when that is news."""
        news = machine not in self._told
        self._told.add(machine)
        self._trial_at[machine] = self._clock.monotonic() + ASIDE_SECONDS
        return news

    def passed(self, machine: str) -> bool:
        """An event of it was taken, so the receiver is well: who was doubted is on trial. True when it was set aside."""
        self._doubted.discard(machine)
        self._trial_at.pop(machine, None)
        self._trial_at |= dict.fromkeys(self._doubted, self._clock.monotonic())
        self._doubted.clear()
        was_aside = machine in self._told
        self._told.discard(machine)
        return was_aside
