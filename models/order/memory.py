"""What is remembered of orders: bounded, and saved as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from gateway.contract import Json, StateError

_VERSION = 1
_MOST_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Last:
    """Where an order stands: time of its last step, and the steps of that very time, the last one last."""

    t_ns: int
    steps: tuple[str, ...]

    def then(self, t_ns: int, step: str) -> Last:
        """After one more step."""
        return Last(t_ns, (*self.steps, step)[-_MOST_AT_ONCE:] if t_ns == self.t_ns else (step,))


class Loaded(NamedTuple):
    """What `Memory.dump` was given, and the orders there are too many of now."""

    unreadable: dict[str, int]
    final: frozenset[str]
    forgotten: list[tuple[str, str]]


class Memory:
    """The last step of the `most` orders seen last; an order is a (machine, number)."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._last: dict[tuple[str, str], Last] = {}

    def __len__(self) -> int:
        return len(self._last)

    def get(self, order: tuple[str, str]) -> Last | None:
        return self._last.get(order)

    def put(self, order: tuple[str, str], last: Last) -> list[tuple[tuple[str, str], Last]]:
        """Remember; returns the orders that are forgotten for it."""
        self._last.pop(order, None)
        self._last[order] = last
        too_many = max(0, len(self._last) - self._most)
        return [(oldest, self._last.pop(oldest)) for oldest in list(islice(self._last, too_many))]

    def leap(self, machine: str, delta_ns: int) -> None:
        """All that is known of a machine was so much later."""
        for order, last in self._last.items():
            if order[0] == machine:
                self._last[order] = Last(last.t_ns + delta_ns, last.steps)

    def dump(self, unreadable: Mapping[str, int], final: Iterable[str]) -> bytes:
        """`final` steps: by another configuration other orders are done."""
        rows = [[machine, number, last.t_ns, list(last.steps)] for (machine, number), last in self._last.items()]
        state = {"version": _VERSION, "orders": rows, "unreadable": dict(unreadable), "final": sorted(final)}
        return json.dumps(state, ensure_ascii=False, separators=(",", ":")).encode()

    def __iter__(self) -> Iterator[tuple[tuple[str, str], Last]]:
        """The order seen longest ago first."""
        return iter(self._last.items())

    def load(self, state: bytes) -> Loaded:
        """Raises StateError, and is unchanged then."""
        try:
            found = json.loads(state)
            if found["version"] != _VERSION:
                raise StateError(f"state is of version {found['version']}")
            rows = dict(_row(row) for row in found["orders"])
            unreadable = {str(source): int(count) for source, count in found["unreadable"].items()}
            final = frozenset(str(step) for step in found.get("final", ()))
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise StateError(f"state cannot be read: {exc!r}") from exc
        self._last = dict(list(rows.items())[-self._most :])
        return Loaded(unreadable, final, [order for order in rows if order not in self._last])


def _row(row: Json) -> tuple[tuple[str, str], Last]:
    machine, number, t_ns, steps = row
    if not (isinstance(t_ns, int) and steps and all(isinstance(text, str) for text in (machine, number, *steps))):
        raise ValueError(f"no order: {row!r}")
    return (machine, number), Last(t_ns, tuple(steps))
