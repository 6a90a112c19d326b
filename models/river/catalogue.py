"""Finds a model in river by name: only what scores rows without a target, and what tells drift of one value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any

from gateway.contract import ConfigError, Json
from models.river.declared import KINDS, NEVER

_SEED = 1  # the same input must give the same findings


def refuse_unknown(model: str, parameters: Collection[str], known: Mapping[str, Collection[str]]) -> None:
    """Raises ConfigError for a name that is not in `known` and for a parameter that is not among the model's."""
    if model not in known:
        raise ConfigError(f"river has no model {model!r} that can be used here; {_hint(model, sorted(known))}")
    for name in parameters:
        if name not in known[model]:
            raise ConfigError(f"{model} has no parameter {name!r}; {_hint(name, known[model])}")


def maker(model: str, parameters: Mapping[str, Json]) -> Callable[[], Any]:
    """A function that builds a fresh model; raises ConfigError for an unknown name and for parameters it refuses."""
    kinds = models()
    refuse_unknown(model, parameters, {name: tuple(inspect.signature(kind).parameters) for name, kind in kinds.items()})
    kind, given = kinds[model], dict(parameters)
    if "seed" in inspect.signature(kind).parameters:
        given.setdefault("seed", _SEED)

    def make() -> Any:
        return kind(**given)

    try:
        make()
    except (TypeError, ValueError) as exc:
        raise ConfigError(f"{model} refuses its parameters: {exc}") from exc
    return make


def models() -> dict[str, type]:
    """``anomaly.X`` with `score_one(x)` and `learn_one(x)`, ``drift.X`` with `update(x)` and `drift_detected`."""
    from river import anomaly, base, drift

    found: dict[str, type] = {}
    for module in (anomaly, drift):
        short = module.__name__.removeprefix("river.")
        kind = getattr(base, KINDS[short])
        for name, member in vars(module).items():
            if inspect.isclass(member) and issubclass(member, kind) and not inspect.isabstract(member) and name not in NEVER:
                found[f"{short}.{name}"] = member
    return found


def _hint(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
