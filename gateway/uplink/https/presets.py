"""Presets: shipped YAML of the same keys, laid under what the user writes, before anything is validated.

A preset file holds options of the plugin and, beside them:

about      one line, for people
needs      what the user must give: dotted key, and what it is
variants   more keys by mode: ``{event: {...}, record: {...}}``; a variant may have needs of its own
mode       the variant that is taken when the user names none
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import yaml

from gateway.contract import SecretRef

DEFAULT: Final = "cloudevents"
# The key whose value makes the others of its section another thing altogether.
_DECIDES: Final = {"auth": "kind", "body": "form"}
_FOLDER = files("gateway.uplink.https") / "presets"


class PresetError(ValueError):
    """No such preset or variant, or something is missing that it needs."""


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    return tuple(sorted(path.name.removesuffix(".yaml") for path in _FOLDER.iterdir() if path.name.endswith(".yaml")))


@lru_cache(maxsize=32)
def read(name: str) -> Mapping[str, Any]:
    """As it stands in the file."""
    if name not in names():
        raise PresetError(f"there is no preset {name!r}; there are {', '.join(names())}")
    found = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}


def under(given: Mapping[str, Any]) -> dict[str, Any]:
    """The user's options with those of the preset under them; raises PresetError."""
    name = given.get("preset") or DEFAULT
    preset = dict(read(str(name)))
    variants, needs = preset.pop("variants", {}), preset.pop("needs", {})
    preset.pop("about", None)
    mode = given.get("mode") or preset.pop("mode", None)
    if variants:
        if mode not in variants:
            raise PresetError(f"mode must be one of {', '.join(variants)}, got {mode!r}")
        variant = dict(variants[mode])
        needs = {**needs, **variant.pop("needs", {})}
        preset = laid_under(variant, preset)
    elif given.get("mode"):
        raise PresetError(f"preset {name} has no modes")
    merged = laid_under(_with_short_forms(given), preset)
    _check(str(name), needs, preset, merged)
    return merged if mode is None else merged | {"mode": mode}


def _with_short_forms(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """``token`` is bearer, unless there is an auth to say what the token is for."""
    if not isinstance(given.get("token"), Mapping | SecretRef) or given.get("auth") is not None:
        return given
    return {**given, "auth": {"kind": "bearer", "token": given["token"]}}


def laid_under(upper: Mapping[str, Any], lower: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged, everything else of `upper` replaces; null in `upper` takes a key away.

    >>> laid_under({"a": {"x": 1, "y": None}}, {"a": {"y": 2, "z": 3}})
    {'a': {'z': 3, 'x': 1}}
    """
    merged = dict(lower)
    for key, value in upper.items():
        below = lower.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping) and not _other(key, value, below):
            merged[key] = laid_under(value, below)
        elif value is None and key in lower:
            del merged[key]
        else:
            merged[key] = value
    return merged


def _other(key: str, upper: Mapping[str, Any], lower: Mapping[str, Any]) -> bool:
    decides = _DECIDES.get(key)
    return decides is not None and decides in upper and upper[decides] != lower.get(decides)


def _check(name: str, needs: Mapping[str, str], preset: Mapping[str, Any], merged: Mapping[str, Any]) -> None:
    missing = [f"{key} ({what})" for key, what in needs.items() if _applies(key, preset, merged) and _at(merged, key) in (None, "", [])]
    if missing:
        raise PresetError(f"preset {name} needs {', '.join(missing)}")


def _applies(key: str, preset: Mapping[str, Any], merged: Mapping[str, Any]) -> bool:
    """With another kind of auth than the preset's, its needs are none."""
    section = key.split(".")[0]
    decides = _DECIDES.get(section)
    wanted = _at(preset, f"{section}.{decides}") if decides else None
    return wanted is None or _at(merged, f"{section}.{decides}") == wanted


def _at(options: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        options = options.get(key) if isinstance(options, Mapping) else None
    return options
