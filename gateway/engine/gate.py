"""`only_when`: a watch looks at a machine only while its expression holds, and `settle` after it began to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gateway.contract import BAD, Tag
from gateway.engine.stages import Table
from gateway.expression import Expression


class Gate:
    """One watch's gate for one machine, on the last values of its tags; judged once per flush.

    tags   by name, all tags of the machine: those that report only changes are as old as their last change, so the
           machine's time is that of its newest reading
    """

    def __init__(self, expression: Expression, tags: Mapping[str, Tag], settle: float) -> None:
        self._expression = expression
        self._index = {name: tags[name].index for name in expression.names}
        self._all = np.array([tag.index for tag in tags.values()], dtype=np.int32)
        self._settle_ns = int(settle * 1e9)
        self._since_ns: int | None = None

    def leap(self, delta_ns: int) -> None:
        """The machine's times leapt with the gateway's clock."""
        self._since_ns = None if self._since_ns is None else self._since_ns + delta_ns

    def is_open(self, table: Table, t_ns: int = 0) -> bool:
        """Time is that of the readings, so that a recording is judged as the plant was; `t_ns` is that of a waveform at hand."""
        values = {name: float(table.last_value[index]) for name, index in self._index.items()}
        if not self._expression(values):
            self._since_ns = None
            return False
        sound = self._all[table.last_quality[self._all] < BAD]
        now_ns = max(int(table.last_t_ns[sound].max()) if len(sound) else 0, t_ns)
        if self._since_ns is None or now_ns < self._since_ns:  # a clock that was set back: it settles anew
            self._since_ns = now_ns
        return now_ns - self._since_ns >= self._settle_ns
