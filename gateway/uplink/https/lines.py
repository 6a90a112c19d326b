"""JSON as text for people: one ``name: value`` per line. Pure, and bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

CUT = "…"
_MOST_DEPTH = 6
_MOST_IN_ROW = 20
_encode = msgspec.json.Encoder().encode


def readable(value: Any, most: int) -> tuple[str, bool]:
    """The text, of at most `most` lines, and whether all of it is there; what was left out is marked with ``…``.

    >>> print(readable({"limit_hz": 70.5, "tags": ["a", "b"], "band": {"low": 1, "high": None}, "peaks": [{"hz": 7}]}, 10)[0])
    limit hz: 70.5
    tags: a, b
    band low: 1
    band high: none
    peaks 1 hz: 7
    >>> readable({"a": 1, "b": 2, "c": 3}, 2)
    ('a: 1\\n…', False)
    """
    leaves = list(islice(_leaves(value, (), 0), most + 1))
    rows = [f"{name}: {_row(leaf)}" if name else _row(leaf) for name, leaf in leaves]
    if len(rows) > most:
        return "\n".join([*rows[: most - 1], CUT]), False
    return "\n".join(rows), not any(isinstance(leaf, list) and len(leaf) > _MOST_IN_ROW for _, leaf in leaves)


def _leaves(value: Any, name: tuple[str, ...], depth: int) -> Iterator[tuple[str, Any]]:
    """What gets a line of its own: all but what holds more of its kind, unless that is very deep."""
    inside: Iterator[tuple[str, Any]] | None = None
    if depth < _MOST_DEPTH and isinstance(value, Mapping) and value:
        inside = ((str(key), each) for key, each in value.items())
    elif depth < _MOST_DEPTH and isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
        inside = ((str(number), each) for number, each in enumerate(value, 1))
    if inside is None:
        yield " ".join(" ".join(name).replace("_", " ").split()), value
        return
    for key, each in inside:
        yield from _leaves(each, (*name, key), depth + 1)


def _row(value: Any) -> str:
    """On one line."""
    if isinstance(value, list) and value:
        more = [f"{CUT} {len(value) - _MOST_IN_ROW} more"] if len(value) > _MOST_IN_ROW else []
        return ", ".join([*map(_word, value[:_MOST_IN_ROW]), *more])
    return _word(value)


def _word(value: Any) -> str:
    if value is None or value in ({}, []):
        return "none"
    return " ".join(value.split()) if isinstance(value, str) else _encode(value).decode()
