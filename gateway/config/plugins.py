"""Which plugin a mapping of options names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, overload

from gateway import registry
from gateway.config.document import Reader
from gateway.config.problems import close_to
from gateway.config.yaml import Path
from gateway.contract import ConfigError, DetectorPlugin, Plugin, SourcePlugin, UplinkPlugin

_WORDS = {"sources": "driver", "detectors": "detector", "uplinks": "kind of destination"}


@overload
def pick_plugin(reader: Reader, kind: Literal["sources"], options: Mapping[str, Any], where: Path) -> SourcePlugin | None: ...
@overload
def pick_plugin(reader: Reader, kind: Literal["detectors"], options: Mapping[str, Any], where: Path) -> DetectorPlugin | None: ...
@overload
def pick_plugin(reader: Reader, kind: Literal["uplinks"], options: Mapping[str, Any], where: Path) -> UplinkPlugin | None: ...
def pick_plugin(reader: Reader, kind: registry.Kind, options: Mapping[str, Any], where: Path) -> Plugin | None:
    """The one key that is an installed plugin's name decides; None, and a problem noted, if there is not exactly one."""
    known = registry.names(kind)
    named = [key for key in options if key in known]
    if len(named) == 1:
        return _installed(reader, kind, named[0], where)
    word = _WORDS[kind]
    if named:
        reader.problem((*where, named[1]), f"a second {word} beside {named[0]}", "write one", key=True)
        return None
    meant = _meant(options, known)
    if meant is not None:
        reader.problem((*where, meant[0]), f"there is no {word} {meant[0]!r}", f"did you mean {meant[1]!r}?", key=True)
    elif len(options) == 1:
        only = next(iter(options))
        reader.problem((*where, only), f"there is no {word} {only!r}", f"known are {', '.join(known)}", key=True)
    else:
        reader.problem(where, f"names no {word}", f"known are {', '.join(known)}")
    return None


def _installed(reader: Reader, kind: registry.Kind, name: str, where: Path) -> Plugin | None:
    try:
        plugin = registry.load(kind, name)
    except ConfigError as exc:
        reader.problem((*where, name), str(exc), key=True)
        return None
    if not (lacking := registry.lacking(plugin)):
        return plugin
    remedy = f"install the package lineside-analytics, or with pip: {' '.join(lacking)}"
    reader.problem((*where, name), f"needs {' and '.join(lacking)}, which this installation lacks", remedy, key=True)
    return None


def _meant(options: Iterable[str], known: list[str]) -> tuple[str, str] | None:
    """The key that is most probably a plugin's name with a slip, and that name."""
    for key in options:
        if close := close_to(key, known, cutoff=0.7):
            return key, close
    return None
