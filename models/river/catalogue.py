"""Finds a model in river by name: only what scores rows without a target, and what tells drift of one value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from gateway.contract import ConfigError, Json

_SEED = 1  # the same input must give the same findings
_NEVER = frozenset({"DummyDriftDetector", "NoDrift"})  # they tell drift by the calendar, or not at all


def maker(model: str, parameters: Mapping[str, Json]) -> Callable[[], Any]:
    """A function that builds a fresh model; raises ConfigError for an unknown name and for parameters it refuses."""
    known = models()
    if model not in known:
        raise ConfigError(f"river has no model {model!r} that can be used here{_hint(model, known)}; there are {', '.join(sorted(known))}")
    kind = known[model]
    accepted = inspect.signature(kind).parameters
    for name in parameters:
        if name not in accepted:
            raise ConfigError(f"{model} has no parameter {name!r}{_hint(name, accepted)}; it takes {', '.join(accepted)}")
    given = dict(parameters)
    if "seed" in accepted:
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
    for module, kind in ((anomaly, base.AnomalyDetector), (drift, base.DriftDetector)):
        for name, member in vars(module).items():
            if inspect.isclass(member) and issubclass(member, kind) and not inspect.isabstract(member) and name not in _NEVER:
                found[f"{module.__name__.removeprefix('river.')}.{name}"] = member
    return found


def _hint(name: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
