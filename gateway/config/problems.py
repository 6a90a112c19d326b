"""What is wrong with a configuration, with its place, and how it is printed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")


@dataclass(frozen=True, order=True)
class Problem:
    """One error. `where` is the path in the document, `excerpt` the line of the file without its secrets."""

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
            # Tabs stay tabs, so that the caret stands below its place however wide they are shown.
            margin = re.sub(r"[^\t]", " ", problem.excerpt[: problem.column - 1].ljust(problem.column - 1))
            lines.append(f"  {problem.line:5d} | {problem.excerpt}")
            lines.append(f"        | {margin}^")
    return "\n".join(lines)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """
    >>> did_you_mean("tpye", ["type", "tag"])
    "did you mean 'type'?"
    """
    options = sorted(set(known))
    if close := close_to(word, options):
        return f"did you mean {close!r}?"
    return f"known are {', '.join(options)}" if 0 < len(options) <= 12 else ""


def close_to(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word that was probably meant; empty if there is none."""
    from difflib import get_close_matches  # a configuration without a slip does not need it

    return next(iter(get_close_matches(word, sorted(set(known)), n=1, cutoff=cutoff)), "")


def without_credentials(text: str) -> str:
    """
    >>> without_credentials("'mqtt://me:s3cret@broker' is not supported")
    "'mqtt://***@broker' is not supported"
    """
    return _CREDENTIALS.sub("***", text)


def masked(line: str, spans: Iterable[tuple[int, int]]) -> str:
    """The line with `spans` (columns from 0) and credentials in addresses made unreadable; the columns behind stay.

    >>> masked("password: hunter2  # ours", [(10, 17)])
    'password: ***      # ours'
    """
    for start, end in [*spans, *(match.span() for match in _CREDENTIALS.finditer(line))]:
        line = line[:start] + "***".ljust(end - start)[: max(3, end - start)] + line[end:]
    return line.rstrip()
