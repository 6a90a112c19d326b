"""Which blocks of a fast channel a watch takes: at steady speed, at an interval or on a trigger. One watch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeAlias

from gateway.contract import BlockWatchOptions, Waveform
from gateway.engine.gate import Gate
from gateway.engine.stages import Table

Swing: TypeAlias = Callable[[Waveform], float | None]
"""By which share the shaft speed changed during a block; None: not known."""


class Acquisition:
    """Judges blocks by their own time, so that a recording is judged as the plant was.

    triggers   by machine; each of its channels gives one block each time its trigger begins to hold
    left_out   blocks that were not taken, by reason
    """

    def __init__(self, options: BlockWatchOptions, triggers: Mapping[str, Gate]) -> None:
        self._every_ns = None if options.every is None else int(options.every * 1e9)
        self._steady, self._triggers = options.steady, triggers
        self._due_ns: dict[int, int] = {}
        self._waiting: dict[int, bool] = {}
        """By channel: its trigger has begun to hold and no block was taken since."""
        self._held: dict[int, bool] = {}
        self.left_out: Counter[str] = Counter()

    def takes(self, block: Waveform, machine: str, table: Table, swing: Swing) -> bool:
        """Whether this block is looked at; one that is not is counted."""
        triggered, at_its_time = self._triggered(block, machine, table), self._at_its_time(block)
        if not (triggered or at_its_time):
            self.left_out["interval" if self._every_ns is not None else "trigger"] += 1
            return False
        if self._steady is not None and (changed := swing(block)) is not None and changed > self._steady:
            self.left_out["speed"] += 1
            return False
        self._waiting[block.tag] = False
        if self._every_ns is not None:
            self._due_ns[block.tag] = block.t_ns + self._every_ns
        return True

    def _triggered(self, block: Waveform, machine: str, table: Table) -> bool:
        """A trigger waits for a block at steady speed as long as it holds."""
        gate = self._triggers.get(machine)
        if gate is None:
            return False
        holds = gate.is_open(table, block.t_ns)
        began = holds and not self._held.get(block.tag, False)
        self._held[block.tag] = holds
        self._waiting[block.tag] = holds and (began or self._waiting.get(block.tag, False))
        return self._waiting[block.tag]

    def _at_its_time(self, block: Waveform) -> bool:
        if self._every_ns is None:
            return not self._triggers
        due = self._due_ns.get(block.tag, block.t_ns)
        # A clock that was set back must not keep it waiting.
        return block.t_ns >= due or block.t_ns < due - self._every_ns
