"""Where the page writes what the audit has to know; the app gives it."""

from __future__ import annotations

from typing import Protocol


class Note(Protocol):
    """One line of the audit, taken at once."""

    def __call__(self, what: str, *, who: str = ..., name: str = ..., before: str = ..., after: str = ...) -> None: ...


def nowhere(what: str, *, who: str = "", name: str = "", before: str = "", after: str = "") -> None:
    """For a page without an audit."""
