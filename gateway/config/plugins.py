"""Which plugin a mapping of options names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, overload

from gateway import registry
from gateway.config.document import Reader
from gateway.config.problems import did_you_mean
from gateway.config.yaml import Path
from gateway.contract import ConfigError, DetectorPlugin, Plugin, SourcePlugin, UplinkPlugin

_WORDS = {"sources": "driver", "detectors": "detector", "uplinks": "uplink"}


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
        try:
            return registry.load(kind, named[0])
        except ConfigError as exc:
            reader.problem((*where, named[0]), str(exc), key=True)
            return None
    word = _WORDS[kind]
    if named:
        reader.problem((*where, named[1]), f"names two {word}s, {' and '.join(named)}", key=True)
    elif options:
        first = next(iter(options))
        reader.problem((*where, first), f"names no {word}", did_you_mean(first, known), key=True)
    else:
        reader.problem(where, f"names no {word}", did_you_mean("", known))
    return None
