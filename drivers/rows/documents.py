"""JSON documents and NDJSON lines, row by row. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from drivers.rows.places import Steps, walk
from drivers.rows.row import Refused, Row, Unreadable

_decode = msgspec.json.Decoder().decode
_BAD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def document_rows(body: bytes, inside: Steps = ()) -> Iterator[Row | Refused]:
    """The objects of the list at `inside`, or the one object there.

    raises Unreadable   no JSON, or neither an object nor a list is there
    """
    try:
        found = walk(_decode(body), inside)
    except _BAD as exc:
        raise Unreadable("", f"no JSON: {_why(exc)}") from exc
    if isinstance(found, dict):
        yield Row(_pointer(inside) or "/", found)
        return
    if not isinstance(found, list):
        raise Unreadable(_pointer(inside) or "/", "neither an object nor a list of objects")
    for number, each in enumerate(found):
        yield _row(each, f"{_pointer(inside)}/{number}")


def line_rows(lines: Iterable[bytes]) -> Iterator[Row | Refused]:
    """One object a line; empty lines are left out, a line that is no object is refused."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            yield _row(_decode(line), where)
        except _BAD as exc:
            yield Refused(where, f"no JSON: {_why(exc)}")


def _row(found: Any, where: str) -> Row | Refused:
    return Row(where, found) if isinstance(found, dict) else Refused(where, "no object")


def _pointer(inside: Steps) -> str:
    """RFC 6901."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in inside)


def _why(exc: Exception) -> str:
    return "nested too deeply" if isinstance(exc, RecursionError) else str(exc)
