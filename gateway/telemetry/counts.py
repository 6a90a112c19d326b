"""Counters with labels, kept as plain integers so that the hot path pays one dict update; and single values, asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Figure:
    """One value now, asked for. A counter only grows. `labels` are pairs."""

    name: str
    help: str
    value: float
    labels: Labels = ()
    kind: Literal["gauge", "counter"] = "gauge"


class Counts:
    """Monotonic counters by name and labels.

    >>> counts = Counts()
    >>> counts.add("readings_dropped", 3, source="press-07", reason="queue_full")
    >>> counts.total("readings_dropped")
    3
    """

    def __init__(self) -> None:
        self._values: dict[tuple[str, Labels], int] = {}

    def add(self, name: str, count: int = 1, **labels: str) -> None:
        key = (name, tuple(sorted(labels.items())) if len(labels) > 1 else tuple(labels.items()))
        self._values[key] = self._values.get(key, 0) + count

    def total(self, name: str, **labels: str) -> int:
        """Sum over all label sets that contain `labels`."""
        wanted = set(labels.items())
        return sum(value for (known, given), value in self._values.items() if known == name and wanted <= set(given))

    def __iter__(self) -> Iterator[tuple[str, Labels, int]]:
        for (name, labels), value in sorted(self._values.items()):
            yield name, labels, value

    def as_dict(self) -> dict[str, int]:
        """Flat, for JSON: ``{"readings_dropped{reason=queue_full,source=press-07}": 3}``."""
        return {_flat(name, labels): value for name, labels, value in self}


def _flat(name: str, labels: Labels) -> str:
    return f"{name}{{{','.join(f'{k}={v}' for k, v in labels)}}}" if labels else name
