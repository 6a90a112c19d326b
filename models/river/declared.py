"""What river says it has, read from its source: importing river costs too much for a mere check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

KINDS = {"anomaly": "AnomalyDetector", "drift": "DriftDetector"}
"""Module of river, and the class whose children can be used here: no target, a score or a drift."""
NEVER = frozenset({"DummyDriftDetector", "NoDrift"})
"""They tell drift by the calendar, or not at all."""


def declared() -> dict[str, tuple[str, ...]]:
    """Parameters of each usable model by its name, ``anomaly.LODA``; empty where river's source cannot be read."""
    spec = find_spec("river")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
    return {
        f"{module}.{name}": parameters
        for module, parent in KINDS.items()
        for folder in folders
        for file in sorted((folder / module).glob("*.py"))
        for name, parameters in _children(ast.parse(file.read_bytes()), parent)
        if name not in NEVER
    }


def _children(tree: ast.Module, parent: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Classes that name `parent` as a base, and what their constructors take."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and parent in {_last(base) for base in node.bases}:
            yield node.name, tuple(name for member in node.body for name in _arguments(member))


def _last(base: ast.expr) -> str:
    """``base.AnomalyDetector`` and ``AnomalyDetector`` are one name."""
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""


def _arguments(member: ast.stmt) -> list[str]:
    if not (isinstance(member, ast.FunctionDef) and member.name == "__init__"):
        return []
    return [argument.arg for argument in (*member.args.args, *member.args.kwonlyargs) if argument.arg != "self"]
