"""What is wrong with a configuration, in words for a plant engineer, with its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True, order=True)
class Problem:
    """One error. `where` is the path in the document, `excerpt` the line of the file."""

    file: str
    line: int
    column: int
    where: str
    message: str
    hint: str = ""
    excerpt: str = ""

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        where = f"{self.where}: " if self.where else ""
        return f"{self.file}:{self.line}:{self.column}: {where}{self.message}{hint}"


class ConfigErrors(Exception):
    """Everything that is wrong with a configuration, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def render(problems: Iterable[Problem]) -> str:
    """All problems, each with its line and a caret."""
    lines = []
    for problem in problems:
        lines.append(str(problem))
        if problem.excerpt.strip():
            lines.append(f"  {problem.line:5d} | {problem.excerpt}")
            lines.append(f"        | {' ' * (problem.column - 1)}^")
    return "\n".join(lines)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """
    >>> did_you_mean("tpye", ["type", "tag"])
    "did you mean 'type'?"
    """
    options = sorted(set(known))
    close = get_close_matches(word, options, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known are {', '.join(options)}" if 0 < len(options) <= 12 else ""


def option_names(model: type[BaseModel]) -> list[str]:
    """Names as they are written in YAML."""
    return [info.alias or name for name, info in model.model_fields.items()]


def explain(error: Mapping[str, Any], model: type[BaseModel]) -> tuple[str, str]:
    """(message, hint) for one of pydantic's errors; secrets are never repeated."""
    kind, context, given = str(error["type"]), error.get("ctx") or {}, error.get("input")
    if kind == "extra_forbidden":
        known = option_names(model) if len(error["loc"]) == 1 else []
        return "unknown option", did_you_mean(str(error["loc"][-1]), known)
    if kind == "missing":
        return "is missing", ""
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        if "SecretRef" in str(error["msg"]):
            return "a secret is named here, never written", "write {secret: NAME} and store the value outside this file"
        return f"must be a mapping of options, got {_show(given)}", ""
    if kind == "literal_error":
        known = [part.strip(" '") for part in str(context.get("expected", "")).replace(" or ", ", ").split(",")]
        return f"must be one of {', '.join(known)}, got {_show(given)}", did_you_mean(str(given), known) if isinstance(given, str) else ""
    if kind == "value_error":
        return str(context.get("error", error["msg"])), ""
    return _simple(kind, context, given) or f"{str(error['msg']).replace('Input should', 'should')}, got {_show(given)}", ""


def _simple(kind: str, context: Mapping[str, Any], given: Any) -> str:
    bounds = {"greater_than": ("greater than", "gt"), "greater_than_equal": ("at least", "ge"), "less_than": ("less than", "lt")}
    bounds["less_than_equal"] = ("at most", "le")
    if kind in bounds:
        words, key = bounds[kind]
        return f"must be {words} {context[key]:g}, got {_show(given)}"
    for prefix, words in (("int", "a whole number"), ("float", "a number"), ("bool", "true or false"), ("list", "a list")):
        if kind.startswith(prefix):
            return f"must be {words}, got {_show(given)}"
    if kind == "string_type":
        return f"must be text, got {_show(given)} (put it in quotes)"
    if kind == "string_pattern_mismatch":
        return f"{_show(given)} is not allowed here; it must match {context.get('pattern')}"
    if kind in ("too_short", "too_long"):
        return f"has {context.get('actual_length')} entries"
    return ""


def _show(value: Any) -> str:
    text = "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
