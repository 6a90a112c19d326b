"""YAML 1.2 with positions: plain data, and for every path where its key and its value stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Path: TypeAlias = tuple[str | int, ...]
Position: TypeAlias = tuple[int, int]  # line and column, both from 1


@dataclass
class Document:
    """data: dicts, lists, scalars. `keys` and `values`: positions by path. `duplicates`: paths given twice, second place."""

    data: Any = None
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    duplicates: list[tuple[Path, Position, Position]] = field(default_factory=list)

    def of_value(self, path: Path) -> Position:
        """Where the value stands; of something absent, where its nearest parent stands."""
        for known in _upwards(path):
            if known in self.values:
                return self.values[known]
        return (1, 1)

    def of_key(self, path: Path) -> Position:
        return self.keys.get(path) or self.of_value(path)


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
        raise NotYaml(position, str(exc.problem or exc.context or "not YAML")) from exc
    except ValueError as exc:  # characters YAML forbids
        raise NotYaml((1, 1), str(exc).splitlines()[0]) from exc
    document = Document()
    if root is not None:
        document.data = _Walk(document, SafeConstructor(loader=reader)).visit(root, ())
    return document


class _Walk:
    def __init__(self, document: Document, scalars: SafeConstructor) -> None:
        self._document, self._scalars = document, scalars

    def visit(self, node: Node, path: Path) -> Any:
        self._document.values[path] = _start(node)
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
                continue
            self._document.keys[here] = _start(key_node)
            found[key] = self.visit(value_node, here)
        return found

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


def _upwards(path: Path) -> Iterator[Path]:
    for length in range(len(path), -1, -1):
        yield path[:length]
