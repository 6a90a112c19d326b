"""YAML 1.2 text to nodes with positions.

The events are libyaml's, by way of PyYAML: ten times faster than a parser in Python, which a file of thousands of tags is
felt by. What a plain word means is decided here, after the core schema of YAML 1.2: `no` is a word and 12:30:00 too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

Position: TypeAlias = tuple[int, int]  # line and column, both from 1

_DEEPEST = 100
_INT = re.compile(r"[-+]?[0-9][0-9_]*")
_OCTAL, _HEX = re.compile(r"0o[0-7]+"), re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "~": None}
_WORDS |= dict.fromkeys(("null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_WORDS |= {sign + word: float(sign + word[1:]) for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")}
_WORDS |= {word: float("nan") for word in (".nan", ".NaN", ".NAN")}
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # without libyaml the slow one, which does the same


class NotYaml(Exception):
    """The text is not YAML; `position` and `problem` say where and why."""

    def __init__(self, position: Position, problem: str) -> None:
        super().__init__(problem)
        self.position, self.problem = position, problem


@dataclass(slots=True, eq=False)
class Scalar:
    """`text` as it is written, `value` as it is meant."""

    start: Position
    end: Position
    text: str
    value: Any


@dataclass(slots=True, eq=False)
class Sequence:
    start: Position
    end: Position
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Mapping:
    start: Position
    end: Position
    pairs: list[tuple[Node, Node]] = field(default_factory=list)


Node: TypeAlias = Scalar | Sequence | Mapping


def compose(text: str) -> Node | None:
    """The only document of `text`, None if there is none; an alias is the very node it stands for.

    Raises NotYaml, yaml.MarkedYAMLError, yaml.reader.ReaderError.
    """
    loader = _Loader(text)
    try:
        return _Composer(loader).document()
    finally:
        loader.dispose()


class _Composer:
    def __init__(self, loader: Any) -> None:
        self._next = loader.get_event
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node | None:
        self._next()  # the stream begins
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        root = self._node(self._next(), 0)
        self._next()  # the document ends
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            raise NotYaml(_position(after.start_mark), "another document begins; one file is one document")
        return root

    def _node(self, event: Any, depth: int) -> Node:
        start = _position(event.start_mark)
        if depth > _DEEPEST:
            raise NotYaml(start, "nested too deep")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise NotYaml(start, f"found undefined alias {event.anchor!r}")
            return self._anchors[event.anchor]
        found: Node
        if isinstance(event, yaml.ScalarEvent):
            found = Scalar(start, _position(event.end_mark), event.value, meaning(event.value) if event.implicit[0] else event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            found = Sequence(start, start)
        else:
            found = Mapping(start, start)
        if event.anchor is not None:
            self._anchors[event.anchor] = found
        if not isinstance(found, Scalar):
            found.end = self._fill(found, depth + 1)
        return found

    def _fill(self, found: Sequence | Mapping, depth: int) -> Position:
        while not isinstance(event := self._next(), yaml.SequenceEndEvent | yaml.MappingEndEvent):
            node = self._node(event, depth)
            if isinstance(found, Sequence):
                found.items.append(node)
            else:
                found.pairs.append((node, self._node(self._next(), depth)))
        return _position(event.end_mark)


def meaning(text: str) -> Any:
    """What a plain word stands for: YAML 1.2, section 10.3.2, and digits in groups as ruamel.yaml and Python read them.

    >>> [meaning(text) for text in ("no", "12:30:00", "0o17", "1_000", "1e3", "true", "~", "010", "1.5.2")]
    ['no', '12:30:00', 15, 1000, 1000.0, True, None, 10, '1.5.2']
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-.":
        return text
    if _INT.fullmatch(text):
        return int(text.replace("_", "")) if len(text) < 400 else text
    if _OCTAL.fullmatch(text):
        return int(text, 0)
    if _HEX.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


def _position(mark: Any) -> Position:
    return (mark.line + 1, mark.column + 1)
