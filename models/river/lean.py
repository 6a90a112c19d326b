"""Imports river without what it imports of scipy: 70 MB and a second that hardly any model needs.

river imports it at the top of modules that all of its packages share. Of what can be used here, KSWIN alone calls any of it. So while
river is imported something stands in its place, which imports the real one when it is used; who imports scipy afterwards gets scipy.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_HEAVY = (
    *("scipy.integrate", "scipy.ndimage", "scipy.sparse", "scipy.special", "scipy.stats"),
    *("scipy.io.arff", "scipy.io.arff._arffread"),
)


def lean_import(name: str) -> ModuleType:
    """A module of river's."""
    with _standing_in(_HEAVY):
        return importlib.import_module(name)


@contextmanager
def _standing_in(names: tuple[str, ...]) -> Iterator[None]:
    """What is imported already stays."""
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
        _step_aside(self._module)  # used while river is imported
        return getattr(importlib.import_module(self._module), self._name)
