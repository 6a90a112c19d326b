"""When what happens: the story's steps, scaled to the time it has."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_CUT_SECONDS, SHORTEST_CUT_SECONDS = 20.0, 8.0
DEFAULT_SECONDS = 150.0


@dataclass(frozen=True)
class Plan:
    """Seconds from the moment everything runs.

    cut           the uplink goes; by then the bearing's case should be in the inbox
    back          it comes back
    repair        when everything has arrived by then
    late_repair   when it has not; the cases' closing needs the rest
    growth        how long the pit grows
    oil_lag       time constant of the oil, which passes its limit after 0.92 of it (ln 2.5): late in the cut, because the
                  longer the gateway has failed to send, the longer it waits before it tries again
    clear_after   how long a condition must be over before its case is closed
    """

    seconds: float
    fault: float
    growth: float
    cut: float
    back: float
    repair: float
    late_repair: float
    oil_lag: float
    clear_after: float

    @staticmethod
    def of(seconds: float) -> Plan:
        """
        >>> plan = Plan.of(90)
        >>> plan.cut, plan.back - plan.cut
        (32.4, 20.0)
        """
        cut_seconds = min(LONGEST_CUT_SECONDS, max(SHORTEST_CUT_SECONDS, seconds * 2 / 9))
        cut = round(0.36 * seconds, 1)
        return Plan(
            seconds=seconds,
            fault=0.12 * seconds,
            growth=0.06 * seconds,
            cut=cut,
            back=cut + cut_seconds,
            repair=max(0.72 * seconds, cut + cut_seconds + 1),
            late_repair=0.82 * seconds,
            oil_lag=0.65 * cut_seconds,
            clear_after=round(min(5.0, seconds / 30), 1),
        )
