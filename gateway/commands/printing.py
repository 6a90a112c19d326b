"""How the commands print what is not their own: a receiver's words, a damaged file's bytes, times, counts. Pure."""

from __future__ import annotations

import json
from typing import Any

from gateway.events.build import rfc3339


def printable(text: object) -> str:
    """On one line and without what a terminal would obey: a receiver's words are not ours.

    >>> printable("no \\x1b[31msuch\\nfield")
    'no  [31msuch field'
    """
    return "".join(character if character.isprintable() else " " for character in str(text))


def document(value: Any, *, indent: int | None = None) -> str:
    """JSON that people can read: letters as they are, but what a terminal would obey is escaped.

    >>> document({"unit": "°C", "said": "\\x9b31m"})
    '{"unit": "°C", "said": "\\\\u009b31m"}'
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def when(t_ns: int) -> str:
    """UTC to the second; what is no time at all (a damaged row) as the number it is.

    >>> when(1_800_000_000_000_000_000)
    '2027-01-15T08:00:00Z'
    """
    try:
        return rfc3339(t_ns)[:19] + "Z"
    except (ValueError, OverflowError, OSError, TypeError):
        return str(t_ns)


def counted(count: int, noun: str) -> str:
    """
    >>> counted(1, "event"), counted(3400, "readings")
    ('1 event', '3,400 readings')
    """
    noun = noun.removesuffix("s")
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
