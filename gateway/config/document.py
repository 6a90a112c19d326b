"""Validation against the document: errors of any model are turned into problems at the right line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.config.explain import Explained, explain
from gateway.config.problems import ConfigErrors, Problem, masked
from gateway.config.signature import Signed
from gateway.config.yaml import Document, Path

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class CsvLine:
    """A line of a CSV file: its text, and the column (from 1) where each option's cell begins."""

    file: str
    line: int
    text: str = ""
    columns: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Spot:
    """Where the options of one model stand: at `base`, but single keys may come from elsewhere (a profile), or all from a CSV line."""

    base: Path
    elsewhere: Mapping[str, Path] = field(default_factory=dict)
    csv: CsvLine | None = None

    def path(self, loc: Path) -> Path:
        if loc and loc[0] in self.elsewhere:
            return (*self.elsewhere[str(loc[0])], *loc[1:])
        return (*self.base, *loc)


class Reader:
    """One document being read: its text, its positions, and the problems found so far."""

    def __init__(self, file: str, text: str, document: Document) -> None:
        self.file, self.document = file, document
        self.data: Any = document.data
        self._lines = text.splitlines()
        self._problems: list[Problem] = []
        self.validated: list[tuple[BaseModel, Spot]] = []
        self.files: dict[str, str] = {}
        self.signed: Signed | None = None
        self._told: dict[frozenset[str], set[str]] = {}
        for path, (line, column), first in document.duplicates:
            self._problems.append(Problem(file, line, column, dotted(path), f"given twice, first in line {first[0]}"))

    def took(self, name: str, raw: bytes) -> str | None:
        """A file was read, by its name as the configuration has it. What is wrong with its signature; None: nothing, or none is needed."""
        self.files[name] = sha256(raw).hexdigest()
        return self.signed.problem(name, raw) if self.signed is not None else None

    def problem(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> None:
        """At the value of `path`, or at its key."""
        line, column = self.document.of_key(path) if key else self.document.of_value(path)
        self._problems.append(Problem(self.file, line, column, dotted(path), message, hint))

    def csv_problem(self, at: CsvLine, path: Path, message: str, hint: str = "", *, cell: str = "") -> None:
        """In a line of a CSV file, at the option `cell`."""
        self._problems.append(Problem(at.file, at.line, at.columns.get(cell, 1), dotted(path), message, hint, at.text))

    def place(self, spot: Spot) -> str:
        """``file:line`` of what stands at `spot`."""
        return f"{spot.csv.file}:{spot.csv.line}" if spot.csv else f"{self.file}:{self.document.of_key(spot.base)[0]}"

    @property
    def errors(self) -> ConfigErrors:
        """Everything found so far. Excerpts are made last, when all that must not be shown is known."""
        found = [problem if problem.excerpt else replace(problem, excerpt=self._excerpt(problem)) for problem in self._problems]
        return ConfigErrors(found)

    def _excerpt(self, problem: Problem) -> str:
        if problem.file != self.file or problem.line > len(self._lines):
            return ""
        text = self._lines[problem.line - 1]
        return masked(text, self.document.hidden_in(problem.line, len(text)))

    def shape(self, model: type[M], data: Any, base: Path) -> M | None:
        """Validate without remembering: the parts are judged on their own."""
        return self._validate(model, data, Spot(base), None)

    def validate(self, model: type[M], data: Any, spot: Spot, context: Mapping[str, Any] | None = None) -> M | None:
        """A valid model, or None and its problems noted. `context` is for the model's own validators."""
        valid = self._validate(model, data, spot, context)
        if valid is not None:
            self.validated.append((valid, spot))
        return valid

    def _validate(self, model: type[M], data: Any, spot: Spot, context: Mapping[str, Any] | None) -> M | None:
        try:
            return self._shared(model.model_validate(data, context=context))
        except ValidationError as exc:
            for found in explain(exc.errors(include_url=False), model, data):
                self._note(spot, found)
        return None

    def _shared(self, valid: M) -> M:
        """With one set of the options that were given for all tags that were given the same: 230 bytes a tag."""
        told = valid.model_fields_set
        object.__setattr__(valid, "__pydantic_fields_set__", self._told.setdefault(frozenset(told), told))
        return valid

    def _note(self, spot: Spot, found: Explained) -> None:
        if spot.csv is not None:
            cell = str(found.loc[0]) if found.loc else ""
            self.csv_problem(spot.csv, (*spot.base, *found.loc), found.message, found.hint, cell=cell)
            return
        path = spot.path(found.loc)
        if found.secret:
            self.document.hide(path)
        self.problem(path, found.message, found.hint, key=found.at_key)


def dotted(path: Path) -> str:
    """
    >>> dotted(("machines", "press-07", "tags", 3))
    'machines.press-07.tags[3]'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
