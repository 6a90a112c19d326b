"""Imports river without what it imports of scipy: 70 MB and a second that hardly any model needs.

river imports it at the top of modules that all of its packages share. Of what can be used here, KSWIN alone calls any of it.
"""

from __future__ import annotations

from types import ModuleType

from gateway.contract import import_without

_HEAVY = (
    *("scipy.integrate", "scipy.ndimage", "scipy.sparse", "scipy.special", "scipy.stats"),
    *("scipy.io.arff", "scipy.io.arff._arffread"),
)


def lean_import(name: str) -> ModuleType:
    """A module of river's."""
    return import_without(name, _HEAVY)
