"""`only_when`: a watch looks at a machine only while its expression holds, and `settle` after it began to."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.contract import Tag
from gateway.engine.stages import Table
from gateway.expression import Expression


class Gate:
    """One watch's gate for one machine, on the last values of its tags; judged once per flush.

    tags   by name, the machine's tags the expression names
    """

    def __init__(self, expression: Expression, tags: Mapping[str, Tag], settle: float) -> None:
        self._expression = expression
        self._index = {name: tags[name].index for name in expression.names}
        self._settle_ns = int(settle * 1e9)
        self._since_ns: int | None = None

    def is_open(self, table: Table) -> bool:
        """Time is that of the readings, so that a recording is judged as the plant was."""
        values = {name: float(table.last_value[index]) for name, index in self._index.items()}
        if not self._expression(values):
            self._since_ns = None
            return False
        now_ns = max((int(table.last_t_ns[index]) for index in self._index.values()), default=0)
        if self._since_ns is None:
            self._since_ns = now_ns
        return now_ns - self._since_ns >= self._settle_ns
