"""A number inside a structure, found by the type's definition as the server tells it.

The library can make classes of a server's types, but keeps them for the whole process by a namespace index that two servers use
for two things, and decodes more than the one number asked for. Source: OPC UA Part 3, 8.48 (StructureDefinition), Part 6, 5.2.6 and 5.2.7.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from drivers.opcua.wire import BOOLEAN, FIXED, STRUCTURE, Malformed, Reader

_NUMBERS = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}


@dataclass(slots=True)
class Part:
    """One field. `kind` is a built-in type; for a structure `inside` is its layout."""

    name: str
    kind: int
    array: bool = False
    optional: bool = False
    inside: Layout | None = None


@dataclass(slots=True)
class Layout:
    """A structure. `encoding` is the type id its values carry, as text; empty: not known."""

    name: str
    parts: list[Part] = field(default_factory=list)
    masked: bool = False
    union: bool = False
    encoding: str = ""


def number_in(layout: Layout, kind: str, body: bytes, path: tuple[str | int, ...]) -> float | None:
    """The number at `path` of a structure of type id `kind`; None if there is none. Raises Malformed."""
    if layout.encoding and kind != layout.encoding:
        return None
    found = _dig(layout, Reader(body), path)
    return None if found is None else float(found)


def has(layout: Layout, path: tuple[str | int, ...]) -> bool:
    """Whether `path` leads to a number in every value of this layout that is complete."""
    name, rest = path[0], path[1:]
    part = next((each for each in layout.parts if each.name == name), None)
    if part is None:
        return False
    if rest and isinstance(rest[0], int):
        if not part.array:
            return False
        rest = rest[1:]
    elif part.array:
        return False
    if part.inside is not None:
        return bool(rest) and has(part.inside, rest)
    return not rest and part.kind in _NUMBERS


def _dig(layout: Layout, reader: Reader, path: tuple[str | int, ...]) -> Any:
    for part in _there(layout, reader):
        if part.name != path[0]:
            _skip(part, reader)
        else:
            return _at(part, reader, path[1:])
    return None


def _there(layout: Layout, reader: Reader) -> list[Part]:
    """Parts this value has."""
    if layout.union:
        chosen = reader.number("<I")
        return [layout.parts[chosen - 1]] if 0 < chosen <= len(layout.parts) else []
    if not layout.masked:
        return layout.parts
    mask, bit, there = reader.number("<I"), 0, []
    for part in layout.parts:
        if not part.optional or mask >> bit & 1:
            there.append(part)
        bit += part.optional
    return there


def _at(part: Part, reader: Reader, rest: tuple[str | int, ...]) -> Any:
    if part.array:
        if not rest or not isinstance(rest[0], int):
            return None
        count = reader.count(FIXED.get(part.kind, 1))
        if rest[0] >= count:
            return None
        for _ in range(rest[0]):
            _skip_one(part, reader)
        rest = rest[1:]
    if part.inside is not None:
        return _dig(part.inside, reader, rest) if rest else None
    if rest or part.kind not in _NUMBERS:
        return None
    return reader.scalar(part.kind)


def _skip(part: Part, reader: Reader) -> None:
    if not part.array:
        _skip_one(part, reader)
        return
    size = FIXED.get(part.kind) if part.inside is None else None
    count = reader.count(size or 1)
    if size:
        reader.take(count * size)
        return
    for _ in range(count):
        before = reader.at
        _skip_one(part, reader)
        if reader.at == before:
            raise Malformed(f"{part.name} is a list of nothing")


def _skip_one(part: Part, reader: Reader) -> None:
    if part.inside is not None:
        for each in _there(part.inside, reader):
            _skip(each, reader)
    elif part.kind == BOOLEAN or part.kind != STRUCTURE:
        reader.scalar(part.kind)
    else:
        reader.extension()
