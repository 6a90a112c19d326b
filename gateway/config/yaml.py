"""YAML 1.2 with positions: plain data, and for every path where its key and its value stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

Path: TypeAlias = tuple[str | int, ...]
Position: TypeAlias = tuple[int, int]  # line and column, both from 1

SECRET = re.compile(r"pas+w|pwd|token|credential|.secret|secret.|api.?key")
_MOST_VALUES = 300_000  # ten thousand tags with all their options, and some


@dataclass
class Document:
    """data: dicts, lists, scalars. `keys`, `values` and `ends` (behind the value): positions by path.

    duplicates   path, its second place, its first place
    hidden       from and to (behind the end) of what must not be shown: values of keys that are called like a secret
    """

    data: Any = None
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    ends: dict[Path, Position] = field(default_factory=dict)
    duplicates: list[tuple[Path, Position, Position]] = field(default_factory=list)
    hidden: set[tuple[Position, Position]] = field(default_factory=set)

    def of_value(self, path: Path) -> Position:
        """Where the value stands; of something absent, where its nearest parent stands."""
        for known in _upwards(path):
            if known in self.values:
                return self.values[known]
        return (1, 1)

    def of_key(self, path: Path) -> Position:
        return self.keys.get(path) or self.of_value(path)

    def hide(self, path: Path) -> None:
        """The value at `path` must not be shown."""
        if path in self.values:
            self.hidden.add((self.values[path], self.ends[path]))

    def hidden_in(self, line: int, length: int) -> Iterator[tuple[int, int]]:
        """Spans, columns from 0, of the hidden values in a line of `length` characters."""
        for (first, start), (last, end) in self.hidden:
            if first <= line <= last:
                span = (start - 1 if line == first else 0, end - 1 if line == last else length)
                if span[0] < span[1]:
                    yield span


class NotYaml(Exception):
    """The text is not YAML; `position` and `problem` say where and why."""

    def __init__(self, position: Position, problem: str) -> None:
        super().__init__(problem)
        self.position, self.problem = position, problem


def parse(text: str) -> Document:
    """Raises NotYaml."""
    reader = YAML(typ="safe", pure=True)
    try:
        root = reader.compose(text)
    except MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = str(exc.problem or exc.context or "not YAML")
        if exc.context and exc.context_mark and exc.context_mark.line + 1 < position[0]:
            problem += f", {exc.context} that begins in line {exc.context_mark.line + 1}"
        raise NotYaml(position, problem) from exc
    except ReaderError as exc:
        before = text[: exc.position]
        position = (before.count("\n") + 1, exc.position - (before.rfind("\n") + 1) + 1)
        raise NotYaml(position, f"the character U+{exc.character:04X} is not allowed") from exc
    except RecursionError as exc:
        raise NotYaml((1, 1), "nested too deep") from exc
    document = Document()
    if root is not None:
        document.data = _Walk(document, SafeConstructor(loader=reader)).visit(root, ())
    return document


class _Walk:
    def __init__(self, document: Document, scalars: SafeConstructor) -> None:
        self._document, self._scalars = document, scalars
        self._open: list[Node] = []
        self._visited = 0

    def visit(self, node: Node, path: Path) -> Any:
        self._visited += 1
        if node in self._open:
            raise NotYaml(_start(node), "an alias that contains itself")
        if self._visited > _MOST_VALUES:
            raise NotYaml(_start(node), f"more than {_MOST_VALUES} values, counting what aliases repeat")
        self._document.values[path], self._document.ends[path] = _start(node), _end(node)
        self._open.append(node)
        try:
            return self._value(node, path)
        finally:
            self._open.pop()

    def _value(self, node: Node, path: Path) -> Any:
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.visit(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else str(self.visit(key_node, path))
            here = (*path, key)
            if key in found:
                self._document.duplicates.append((here, _start(key_node), self._document.keys[here]))
                self._hide_if_secret(key, value_node)
                continue
            self._document.keys[here] = _start(key_node)
            self._hide_if_secret(key, value_node)
            found[key] = self.visit(value_node, here)
            if found[key] is None:  # where nothing stands, the parser points at what comes next
                self._document.values[here] = self._document.ends[here] = _start(key_node)
        return found

    def _hide_if_secret(self, key: str, value: Node) -> None:
        if isinstance(value, ScalarNode) and SECRET.search(key.lower()):
            self._document.hidden.add((_start(value), _end(value)))

    def _scalar(self, node: Node) -> Any:
        tag = str(node.tag)
        if tag.endswith((":int", ":float", ":bool", ":null")):
            try:
                return self._scalars.construct_object(node)
            except ValueError:
                return node.value
        return node.value


def _start(node: Node) -> Position:
    return (node.start_mark.line + 1, node.start_mark.column + 1)


def _end(node: Node) -> Position:
    return (node.end_mark.line + 1, node.end_mark.column + 1)


def _upwards(path: Path) -> Iterator[Path]:
    for length in range(len(path), -1, -1):
        yield path[:length]
