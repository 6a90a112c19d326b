"""A document with positions: plain data, and for every path where its key and its value stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from gateway.config.nodes import Mapping, Node, NotYaml, Position, Scalar, compose

Path: TypeAlias = tuple[str | int, ...]

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


def parse(text: str) -> Document:
    """Raises NotYaml."""
    try:
        root = compose(text)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = str(exc.problem or exc.context or "not YAML")
        if exc.context and exc.context_mark and exc.context_mark.line + 1 < position[0]:
            problem += f", {exc.context} that begins in line {exc.context_mark.line + 1}"
        raise NotYaml(position, problem) from exc
    except yaml.reader.ReaderError as exc:
        raise _strange_character(text) from exc
    document = Document()
    if root is not None:
        document.data = _Walk(document).visit(root, ())
    return document


def _strange_character(text: str) -> NotYaml:
    found = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if found is None:
        return NotYaml((1, 1), "a character that is not allowed")
    before = text[: found.start()]
    position = (before.count("\n") + 1, found.start() - (before.rfind("\n") + 1) + 1)
    return NotYaml(position, f"the character U+{ord(found[0]):04X} is not allowed")


class _Walk:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: list[Node] = []
        self._visited = 0

    def visit(self, node: Node, path: Path) -> Any:
        self._visited += 1
        if any(node is above for above in self._open):
            raise NotYaml(node.start, "an alias that contains itself")
        if self._visited > _MOST_VALUES:
            raise NotYaml(node.start, f"more than {_MOST_VALUES} values, counting what aliases repeat")
        self._document.values[path], self._document.ends[path] = node.start, node.end
        if isinstance(node, Scalar):
            return node.value
        self._open.append(node)
        try:
            if isinstance(node, Mapping):
                return self._mapping(node, path)
            return [self.visit(item, (*path, i)) for i, item in enumerate(node.items)]
        finally:
            self._open.pop()

    def _mapping(self, node: Mapping, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.pairs:
            key = key_node.text if isinstance(key_node, Scalar) else str(self.visit(key_node, path))
            here = (*path, key)
            if key in found:
                self._document.duplicates.append((here, key_node.start, self._document.keys[here]))
                self._hide_if_secret(key, value_node)
                continue
            self._document.keys[here] = key_node.start
            self._hide_if_secret(key, value_node)
            found[key] = self.visit(value_node, here)
            if found[key] is None:  # where nothing stands, the parser points at what comes next
                self._document.values[here] = self._document.ends[here] = key_node.start
        return found

    def _hide_if_secret(self, key: str, value: Node) -> None:
        if isinstance(value, Scalar) and SECRET.search(key.lower()):
            self._document.hidden.add((value.start, value.end))


def _upwards(path: Path) -> Iterator[Path]:
    for length in range(len(path), -1, -1):
        yield path[:length]
