"""Dotted paths into JSON: ``errors[0].statusCode``, ``$[0].message``, ``context["a key"]``. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, TypeAlias

from gateway.contract import Json

_MOST_STEPS = 16
_STEP = re.compile(r"""\.([A-Za-z_@][\w@-]*)|\[(\d{1,4})\]|\["([^"\[\]]*)"\]|\['([^'\[\]]*)'\]""", re.ASCII)

Keys: TypeAlias = tuple[str | int, ...]


class Missing(Enum):
    """There is nothing there, which is not the same as null."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


class PathError(ValueError):
    """Not a path; says what is wrong with it."""


def parse(text: str) -> Keys:
    """Keys and indices one after the other; ``$`` stands for the whole and may be left out.

    >>> parse("errors[0].statusCode"), parse("$")
    (('errors', 0, 'statusCode'), ())
    """
    rest = text.strip()
    rest = rest[1:] if rest.startswith("$") else f".{rest}" if rest and rest[0] not in ".[" else rest
    keys: list[str | int] = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        if found is None or len(keys) == _MOST_STEPS:
            raise PathError(f"{text[:80]!r} is no path; write for example data.score or errors[0].code, with at most {_MOST_STEPS} steps")
        keys.append(int(found[2]) if found[2] else next(part for part in (found[1], found[3], found[4]) if part is not None))
        at = found.end()
    return tuple(keys)


def walk(value: Any, keys: Keys) -> Any:
    """What is there, or MISSING. Only JSON objects and arrays are entered, never an attribute of a Python object."""
    for key in keys:
        if isinstance(key, str):
            value = value.get(key, MISSING) if isinstance(value, dict) else MISSING
        else:
            value = value[key] if isinstance(value, list) and key < len(value) else MISSING
        if value is MISSING:
            return MISSING
    return value


def text_at(value: Json, keys: Keys | None) -> str:
    """As text; empty: nothing there, or no path given."""
    found = MISSING if keys is None else walk(value, keys)
    return "" if found is MISSING or found is None else str(found)


def texts_at(value: Json, keys: Keys | None) -> list[str]:
    """One or a list of them as a list of texts."""
    found = MISSING if keys is None else walk(value, keys)
    if found is MISSING or found is None:
        return []
    return [str(each) for each in (found if isinstance(found, list) else [found])]


Condition: TypeAlias = Callable[[Any], bool]
_COMPARISON = re.compile(r"""^\s*(?P<path>[^\s=!]+)\s*(?P<sign>==|!=)\s*(?P<literal>"[^"]*"|'[^']*'|[^\s"'=]+)\s*$""")


def condition(text: str) -> Condition:
    """``success == true``, several joined by ``and``. What is missing equals null.

    >>> condition('status != "error" and count == 2')({"status": "ok", "count": 2})
    True
    """
    parts = [_comparison(part) for part in re.split(r"\sand\s", text)]
    return lambda value: all(part(value) for part in parts)


def _comparison(text: str) -> Condition:
    found = _COMPARISON.match(text)
    if found is None:
        raise PathError(f"{text[:80]!r} is no condition; write for example success == true")
    keys, wanted, equal = parse(found["path"]), literal(found["literal"]), found["sign"] == "=="

    def holds(value: Any) -> bool:
        got = walk(value, keys)
        got = None if got is MISSING else got
        # 1 == True for Python, but not for a receiver.
        return (got == wanted and isinstance(got, bool) == isinstance(wanted, bool)) is equal

    return holds


def literal(text: str) -> str | float | int | bool | None:
    """A quoted text, a number, true, false or null; raises PathError.

    >>> literal('"a b"'), literal("2"), literal("true")
    ('a b', 2, True)
    """
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[text]
    if re.fullmatch(r"-?\d{1,15}", text):
        return int(text)
    if re.fullmatch(r"-?\d{1,15}\.\d{1,15}", text):
        return float(text)
    raise PathError(f"{text[:80]!r} is neither quoted text nor a number, true, false or null")
