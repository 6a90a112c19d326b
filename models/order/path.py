"""The part of JSONPath that names one place: ``$.a.b[0]``, ``$['odd name']``. Pure."""

from __future__ import annotations

import re

from gateway.contract import Json

_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]|\['([^']+)'\]")


def steps(path: str) -> tuple[str | int, ...]:
    """Names and positions from the root; raises ValueError.

    >>> steps("$.order.lines[0]")
    ('order', 'lines', 0)
    """
    found: list[str | int] = []
    at = 1
    while path.startswith("$") and at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            break
        name, position, quoted = match.groups()
        found.append(int(position) if position is not None else name or quoted)
        at = match.end()
    if at != len(path) or not found:
        raise ValueError(f"{path!r} names no place in a record; write for example $.order or $.order.lines[0]")
    return tuple(found)


def text_at(document: Json, path: tuple[str | int, ...]) -> str | None:
    """The text or whole number that stands there, as text; None for anything else.

    >>> text_at({"order": {"no": 4711}}, ("order", "no")), text_at({"order": None}, ("order",))
    ('4711', None)
    """
    for step in path:
        if isinstance(step, str):
            document = document.get(step) if isinstance(document, dict) else None
        else:
            document = document[step] if isinstance(document, list) and step < len(document) else None
    if isinstance(document, str):
        return document.strip() or None
    return str(document) if isinstance(document, int) and not isinstance(document, bool) else None
