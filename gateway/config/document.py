"""Validation against the document: errors of any model are turned into problems at the right line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.config.problems import Problem, explain
from gateway.config.yaml import Document, Path
from gateway.contract import SecretRef

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Spot:
    """Where the options of one model stand: at `base`, but single keys may come from elsewhere (a profile, a CSV line).

    csv   (file, line) when they come from a CSV
    """

    base: Path
    elsewhere: Mapping[str, Path] = field(default_factory=dict)
    csv: tuple[str, int] | None = None

    @staticmethod
    def of(base: Path) -> Spot:
        return Spot(base)

    def path(self, loc: tuple[str | int, ...]) -> Path:
        if loc and loc[0] in self.elsewhere:
            return (*self.elsewhere[str(loc[0])], *loc[1:])
        return (*self.base, *loc)


class Reader:
    """One document being read: its text, its positions, and the problems found so far."""

    def __init__(self, file: str, text: str, document: Document) -> None:
        self.file, self.document = file, document
        self.data: Any = document.data
        self._lines = text.splitlines()
        self.problems: list[Problem] = []
        self.validated: list[tuple[BaseModel, Spot]] = []
        self.secrets: list[tuple[str, Spot, SecretRef]] = []
        for path, _, first in document.duplicates:
            self.problem(path, f"given twice, first in line {first[0]}", duplicate=True)

    def problem(self, path: Path, message: str, hint: str = "", *, key: bool = False, duplicate: bool = False) -> None:
        """At the value of `path`, or at its key."""
        if duplicate:
            line, column = next(second for known, second, _ in self.document.duplicates if known == path)
        else:
            line, column = self.document.of_key(path) if key else self.document.of_value(path)
        excerpt = self._lines[line - 1] if line <= len(self._lines) else ""
        self.problems.append(Problem(self.file, line, column, dotted(path), message, hint, excerpt))

    def csv_problem(self, file: str, line: int, where: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(file, line, 1, where, message, hint))

    def shape(self, model: type[M], data: Any, base: Path) -> M | None:
        """Validate without remembering: the parts are judged on their own."""
        return self._validate(model, data, Spot.of(base))

    def validate(self, model: type[M], data: Any, spot: Spot) -> M | None:
        """A valid model, or None and its problems noted."""
        valid = self._validate(model, data, spot)
        if valid is not None:
            self.validated.append((valid, spot))
        return valid

    def _validate(self, model: type[M], data: Any, spot: Spot) -> M | None:
        try:
            return model.model_validate(data)
        except ValidationError as exc:
            for error in exc.errors(include_url=False):
                message, hint = explain(error, model)
                self._note(spot, error["loc"], message, hint, key=error["type"] == "extra_forbidden")
        return None

    def _note(self, spot: Spot, loc: tuple[str | int, ...], message: str, hint: str, *, key: bool) -> None:
        clean = tuple(part for part in loc if part != "[key]")
        if spot.csv is not None:
            self.csv_problem(*spot.csv, dotted((*spot.base, *clean)), message, hint)
            return
        path = spot.path(clean)
        if path[: len(spot.base)] != spot.base:
            message = f"{message} (for {dotted(spot.base)})"
        self.problem(path, message, hint, key=key or loc != clean)


def dotted(path: Path) -> str:
    """
    >>> dotted(("machines", "press-07", "tags", 3))
    'machines.press-07.tags[3]'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
