"""Names of places in a row: a column or field by its name, or a path into a document (``$.press.load``). Pure."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

Steps: TypeAlias = tuple[str | int, ...]
_STEP = re.compile(r"\.([A-Za-z_@:][\w@:-]*)|\[(-?\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")


def steps(place: str) -> Steps:
    """Names and positions from the row inwards. Raises ValueError for a path that is none.

    >>> steps("Temp. °C"), steps("$.press.axes[0].load"), steps("$['a.b']")
    (('Temp. °C',), ('press', 'axes', 0, 'load'), ('a.b',))
    """
    if not place.startswith("$"):
        if not place.strip():
            raise ValueError("a place has a name: a column, a field, or a path such as $.press.load")
        return (place.strip(),)
    found: list[str | int] = []
    at = 1
    while at < len(place):
        match = _STEP.match(place, at)
        if match is None:
            raise ValueError(
                f"{place!r} is not understood from {place[at:]!r} on; write for example $.value, $.axes[0].load, $['odd name']"
            )
        name, position, quoted, double = match.groups()
        found.append(int(position) if position is not None else next(text for text in (name, quoted, double) if text is not None))
        at = match.end()
    return tuple(found)


def walk(document: Any, path: Steps) -> Any:
    """What is there; None also where nothing is, for in a row an empty cell, null and nothing are the same.

    >>> walk({"a": [10, 20]}, ("a", 1)), walk({"a": 1}, ("b",))
    (20, None)
    """
    for step in path:
        if isinstance(step, str):
            if not isinstance(document, dict):
                return None
            document = document.get(step)
        elif isinstance(document, list) and -len(document) <= step < len(document):
            document = document[step]
        else:
            return None
    return document


def is_empty(raw: Any) -> bool:
    return raw is None or (isinstance(raw, str) and not raw.strip())
