"""A recording with a tacho channel, resampled by the angle of the shaft. Pure."""

from __future__ import annotations

import numpy as np

from models.vibration.orders.speed import from_tacho
from models.vibration.orders.tracking import by_angle
from models.vibration.recording.read import Unreadable
from models.vibration.spectrum import Samples

_FEWEST = 10


def tracked(samples: Samples, rate_hz: float, pulses: Samples) -> tuple[Samples, float, float]:
    """(samples at equal angles, as many a second as there would be at the mean speed, mean speed in rpm).

    What turns with the shaft is a line then, however the speed varied; times and what does not turn with it are smeared instead.
    Raises Unreadable for fewer than ten revolutions.
    """
    turns = from_tacho(pulses, rate_hz)
    if len(turns) < _FEWEST:
        raise Unreadable(f"its tacho channel has {len(turns)} pulses; {_FEWEST} revolutions are the fewest")
    shaft_hz = (len(turns) - 1) / float(turns[-1] - turns[0])
    # As fine as the samples are at the slowest speed, so that nothing is lost.
    per_revolution = int(np.ceil(rate_hz * float(np.diff(turns).max())))
    return by_angle(samples, rate_hz, turns, per_revolution), per_revolution * shaft_hz, 60 * shaft_hz
