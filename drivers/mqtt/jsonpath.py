"""The part of JSONPath that names one place: ``$.a.b``, ``$.list[0]``, ``$['odd name']``. Pure."""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

Steps: TypeAlias = tuple[str | int, ...]
_STEP = re.compile(r"\.([A-Za-z_@:$][\w@:$-]*)|\[(-?\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")


class _Missing:
    """Nothing is there; JSON's null is something."""


MISSING: Final = _Missing()


def steps(path: str) -> Steps:
    """Names and positions from the root; ``$`` is the empty tuple. Raises ValueError for anything else.

    >>> steps("$.press.axes[0].load")
    ('press', 'axes', 0, 'load')
    """
    if not path.startswith("$"):
        raise ValueError(f"{path!r} is no path; it begins with $, for example $.value or $.axes[0].load")
    found: list[str | int] = []
    at = 1
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise ValueError(f"{path!r} is not understood from {path[at:]!r} on; write for example $.value, $.axes[0].load, $['odd name']")
        name, position, quoted, double = match.groups()
        if position is not None:
            found.append(int(position))
        else:
            found.append(next(text for text in (name, quoted, double) if text is not None))
        at = match.end()
    return tuple(found)


def walk(document: Any, path: Steps) -> Any:
    """What is there, or `MISSING`.

    >>> walk({"a": [10, 20]}, ("a", 1))
    20
    """
    for step in path:
        if isinstance(step, str):
            if not isinstance(document, dict) or step not in document:
                return MISSING
        elif not isinstance(document, list) or not -len(document) <= step < len(document):
            return MISSING
        document = document[step]
    return document
