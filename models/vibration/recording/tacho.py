"""A recording with a tacho channel, resampled by the angle of the shaft. Pure."""

from __future__ import annotations

from models.vibration.orders.speed import from_tacho
from models.vibration.orders.tracking import tracked as by_turns
from models.vibration.recording.read import Unreadable
from models.vibration.spectrum import Samples

_FEWEST = 10


def tracked(samples: Samples, rate_hz: float, pulses: Samples) -> tuple[Samples, float, float]:
    """(samples at equal angles, as many a second as there would be at the mean speed, mean speed in rpm).

    Raises Unreadable for fewer than ten revolutions.
    """
    turns = from_tacho(pulses, rate_hz)
    if len(turns) < _FEWEST:
        raise Unreadable(f"its tacho channel has {len(turns)} pulses; {_FEWEST} revolutions are the fewest")
    found, rate = by_turns(samples, rate_hz, turns)
    return found, rate, 60 * (len(turns) - 1) / float(turns[-1] - turns[0])
