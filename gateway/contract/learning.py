"""What a detector that learns may have beside `Detector`: it shows what it knows, and people tell it what holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray


class Learning(msgspec.Struct, frozen=True, kw_only=True):
    """How far a detector knows one tag, or one machine.

    tag       its name; empty: the machine as a whole
    state     operating state or recipe that this is of; empty: there is only one
    share     of the warm-up, 0 to 1; 1: it has opinions
    alarms    that began in the last seven days of the readings' time, shown or not
    """

    machine: str
    tag: str = ""
    state: str = ""
    share: float = 1.0
    alarms: int = 0


@runtime_checkable
class Learner(Protocol):
    """It has to learn before it has an opinion, and can be told to learn anew."""

    def learning(self) -> list[Learning]:
        """One for each thing it learns. Pure."""

    def forget(self, machine: str, tags: frozenset[str]) -> None:
        """Begin anew with these tags of a machine, or with the whole machine if there are none: after a repair what was learnt no
        longer holds. What the detector does not watch is ignored. An alarm is over with the next opinion that says so."""

    def adopt(self, machine: str, tags: frozenset[str]) -> None:
        """As it is now, is the new normal: what a level that stays would bring about by itself in time. Only what is in alarm."""


Scores: TypeAlias = Callable[[Sequence[str], NDArray[np.int64], NDArray[np.float64]], None]
"""(paths ``machine/tag``, or ``machine`` for a row of it; their times [n]; -log10 of the probability that normal operation brings
such a deviation [n])."""


@runtime_checkable
class Scoring(Protocol):
    """It gives every reading a calibrated score; a backtest looks at them, nobody does in operation."""

    def show(self, scores: Scores | None) -> None:
        """From now on every score is given to `scores` too, in alarm or not, in the order of `process`; 0 during the warm-up. None: to
        nobody. It changes no finding and is no part of the state."""
