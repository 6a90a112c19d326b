"""The configuration, as `lineside check` sees it, and what of it is dangerous here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.config.problems import Problem
from gateway.doctor.finding import Finding, error, warning


def judge(problems: Iterable[Problem], warnings: Iterable[str]) -> Iterator[Finding]:
    """Secrets that only the running unit sees are missing in a shell: that is no error."""
    for problem in problems:
        if "is nowhere: no systemd credential" in problem.message:
            yield warning(f"{problem.where}: {problem.message}", "fine if the unit has a LoadCredential= line for it")
        else:
            yield error(
                f"{problem.file}:{problem.line}: {problem.where}: {problem.message}", problem.hint or "lineside check shows the place"
            )
    for words in warnings:
        yield warning(words, "lineside check; correct the file, then: systemctl reload lineside")
