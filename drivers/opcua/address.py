"""How an engineer writes where a value lies: node ids, browse paths, places inside a value. Pure."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from uuid import UUID

_NODE = re.compile(r"(?:ns=(?P<index>\d{1,5});|nsu=(?P<uri>[^;]+);)?(?P<kind>[isgb])=(?P<text>.+)", re.DOTALL)
_STEP = re.compile(r"(?:(?P<index>\d{1,5}):|nsu=(?P<uri>[^;]+);)?(?P<name>.+)", re.DOTALL)
_FIELD = re.compile(r"(?P<name>[^.\[\]]+)|\[(?P<index>\d{1,6})\]")
_HIDDEN = {"&/": "\x00", "&&": "\x01"}  # a slash or an ampersand that belongs to a name, as Part 4, A.2 escapes them


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a browse path. `namespace` is a URI, an index, or None: whichever has a child of this name."""

    namespace: str | int | None
    name: str


def split_node(node: str) -> tuple[str | int, int | str | UUID | bytes]:
    """(namespace URI or index, identifier); raises ValueError in the engineer's words.

    Source: OPC UA Part 6, 5.3.1.10: ``i=`` number, ``s=`` text, ``g=`` GUID, ``b=`` Base64.

    >>> split_node("nsu=http://vendor.example/cnc;s=Spindle.Load"), split_node("i=85")
    (('http://vendor.example/cnc', 'Spindle.Load'), (0, 85))
    """
    found = _NODE.fullmatch(node)
    if found is None:
        raise ValueError(f"{node!r} is no node id; write nsu=http://vendor/ns;s=Name or ns=2;s=Name")
    namespace = found["uri"] or int(found["index"] or 0)
    try:
        return namespace, _identifier(found["kind"], found["text"])
    except ValueError as exc:
        raise ValueError(f"{node!r} is no node id: {exc}") from exc


def _identifier(kind: str, text: str) -> int | str | UUID | bytes:
    if kind == "i":
        number = int(text)
        if not 0 <= number < 2**32:
            raise ValueError(f"{number} is not a number of 32 bits")
        return number
    if kind == "g":
        return UUID(text)
    return text if kind == "s" else b64decode(text, validate=True)


def split_path(path: str) -> tuple[Step, ...]:
    """Steps below the Objects folder; a leading ``Objects`` is dropped. Raises ValueError in the engineer's words.

    A namespace stands before a name: ``2:Load``, ``nsu=http://vendor/ns;Load``, or is left out. ``&/`` is a slash in a name.

    >>> [step.name for step in split_path("Objects/2:Machine/Spindle")]
    ['Machine', 'Spindle']
    """
    uris: list[str] = []

    def hide(found: re.Match[str]) -> str:  # the slashes of a URI are none of the path
        uris.append(found[1])
        return f"nsu=\x02{len(uris) - 1};"

    text = re.sub(r"nsu=([^;]+);", hide, path.strip())
    for written, hidden in _HIDDEN.items():
        text = text.replace(written, hidden)
    steps = [_step(part, uris) for part in text.strip("/").split("/")]
    if steps and steps[0].name == "Objects" and steps[0].namespace in (None, 0):
        steps = steps[1:]
    if not steps:
        raise ValueError(f"{path!r} is no path; write for example Objects/2:Machine/Spindle/Load")
    return tuple(steps)


def _step(part: str, uris: list[str]) -> Step:
    found = _STEP.fullmatch(part)
    if found is None:
        raise ValueError("a path has a name between two slashes; write for example Objects/2:Machine/Spindle/Load")
    name = found["name"]
    for written, hidden in _HIDDEN.items():
        name = name.replace(hidden, written[1])
    uri = found["uri"]
    if uri is not None:
        return Step(uris[int(uri[1:])] if uri.startswith("\x02") else uri, name)
    return Step(None if found["index"] is None else int(found["index"]), name)


def split_field(field: str) -> tuple[str | int, ...]:
    """Names and positions into a structure.

    >>> split_field("Axes[2].Load")
    ('Axes', 2, 'Load')
    """
    parts: list[str | int] = []
    position = 0
    while position < len(field):
        found = _FIELD.match(field, position)
        if found is None:
            raise ValueError(f"{field!r} is no field; write for example Motor.Speed or Axes[2].Load")
        parts.append(int(found["index"]) if found["index"] else found["name"])
        position = found.end()
        if position < len(field) and field[position] == "." and position + 1 < len(field):
            position += 1
    if not parts or isinstance(parts[0], int):
        raise ValueError(f"{field!r} is no field; write for example Motor.Speed or Axes[2].Load")
    return tuple(parts)


def deadband_of(text: str | float) -> tuple[float, bool]:
    """(value, whether it is a percentage of the server's range).

    >>> deadband_of("2%"), deadband_of(0.5)
    ((2.0, True), (0.5, False))
    """
    percent = isinstance(text, str) and text.rstrip().endswith("%")
    try:
        value = float(str(text).rstrip().removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 < value < 1e300 or (percent and value > 100):
        raise ValueError(f"{text!r} is no deadband; write 0.5 (in the server's unit) or 2% (of its range)")
    return value, percent
