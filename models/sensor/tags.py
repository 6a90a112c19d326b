"""Which tags have a sensor, and what may be wrong with each kind."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from gateway.contract import ConfigError, DetectorContext, Tag

BAD, RANGE, STUCK, QUIET, COARSE, SPIKES, GAP = range(7)
NAMES = ("bad", "out_of_range", "stuck", "quiet", "coarse", "spikes", "gap")
"""Troubles, one condition each per tag: ``<tag>_sensor_<name>``."""
CLOCK = "sensor_clock_back"
_BETWEEN = "_sensor_"
_OF_KIND = {
    "gauge": (True, True, True, True, True, True, True),
    "counter": (True, True, True, False, False, True, True),
    "state": (True, True, True, False, False, False, True),
}


def watched(context: DetectorContext) -> tuple[Tag, ...]:
    """Raises ConfigError when there is none: a block of a waveform is judged by its source and by `vibration`."""
    found = tuple(tag for tag in context.tags if tag.options.kind in _OF_KIND)
    if not found:
        raise ConfigError("none of its tags is of kind: gauge, counter or state")
    return found


def troubles(tags: tuple[Tag, ...]) -> NDArray[np.bool_]:
    """bool[7, k]: what can be wrong with each tag. A counter's spikes are steps back; counters and states stick by `stuck_after` only."""
    return np.array([_OF_KIND[tag.options.kind] for tag in tags], dtype=np.bool_).T.copy()


def condition(tag: Tag, trouble: int) -> str:
    return f"{tag.name}{_BETWEEN}{NAMES[trouble]}"


def may_have(tags: Iterable[Tag], told: str) -> bool:
    """One of them may be in the trouble that this condition is."""
    name, _, trouble = told.rpartition(_BETWEEN)
    kinds = {tag.options.kind for tag in tags if tag.name == name} & _OF_KIND.keys()
    return trouble in NAMES and any(_OF_KIND[kind][NAMES.index(trouble)] for kind in kinds)
