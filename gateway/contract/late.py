"""Imports a module without some of what it imports: libraries import at their top what few of their users need.

While it is imported something stands in their place, which imports the real one when it is used; who imports the real one afterwards
gets it. Not for what a library derives classes from.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any


def import_without(name: str, parts: Sequence[str]) -> ModuleType:
    """The module `name`; what of `parts` is imported already stays."""
    with _standing_in(parts):
        return importlib.import_module(name)


@contextmanager
def _standing_in(names: Sequence[str]) -> Iterator[None]:
    late = {name: _Late(name) for name in names if name not in sys.modules}
    sys.modules.update(late)
    try:
        yield
    finally:
        for name in late:
            _step_aside(name)


def _step_aside(name: str) -> None:
    if isinstance(sys.modules.get(name), _Late):
        del sys.modules[name]


class _Late(ModuleType):
    """Gives names of a module that is not there yet."""

    def __getattr__(self, name: str) -> _LateName:
        if name.startswith("__"):
            raise AttributeError(name)
        return _LateName(self.__name__, name)


class _LateName:
    """A function, or an object with methods. Its module is imported when it is used."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._real()(*args, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def _real(self) -> Any:
        _step_aside(self._module)  # used while the other is imported
        return getattr(importlib.import_module(self._module), self._name)
