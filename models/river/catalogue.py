"""Makes a model of river's by name: only of the classes in `declared.KINDS`, and of nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from gateway.contract import ConfigError
from models.river.config import Step
from models.river.declared import KINDS, NEVER
from models.river.lean import lean_import

_SEED = 1  # the same input must give the same findings
_ROOTS = ("base", "optim.base", "optim.losses", "neighbors.base", "time_series.base")
"""Where the parents named in `KINDS` are."""


def refuse_unknown(steps: Sequence[Step], known: Mapping[str, Collection[str]]) -> None:
    """Raises ConfigError for a name that is not in `known`, and for a parameter that is not among those of its class."""
    for name, parameters in steps:
        if name not in known:
            raise ConfigError(f"river has no model {name!r} that can be used here; {_hint(name, _of_module(name, known))}")
        for parameter, value in parameters.items():
            if parameter not in known[name]:
                raise ConfigError(f"{name} has no parameter {parameter!r}; {_hint(parameter, known[name])}")
            refuse_unknown(_within(value), known)


def maker(steps: Sequence[Step]) -> Callable[[], Any]:
    """A function that builds a fresh model; raises ConfigError for an unknown name and for parameters it refuses."""
    kinds = models()
    refuse_unknown(steps, {name: tuple(inspect.signature(kind).parameters) for name, kind in kinds.items()})

    def make() -> Any:
        return _pipeline([_made(kinds, name, parameters) for name, parameters in steps])

    try:
        make()
    except (TypeError, ValueError) as exc:
        raise ConfigError(f"{steps[-1][0]} refuses its parameters: {exc}") from exc
    return make


def models() -> dict[str, type]:
    """All that can be used here, by name: ``anomaly.LODA``."""
    roots = [lean_import(f"river.{root}") for root in _ROOTS]
    found: dict[str, type] = {}
    for short, parents in KINDS.items():
        wanted = tuple(kind for parent in parents for root in roots if (kind := getattr(root, parent, None)))
        for name, member in vars(lean_import(f"river.{short}")).items():
            if _usable(member, wanted) and name not in NEVER:
                found[f"{short}.{name}"] = member
    return found


def _usable(member: Any, parents: tuple[type, ...]) -> bool:
    return inspect.isclass(member) and issubclass(member, parents) and member not in parents and not inspect.isabstract(member)


def _made(kinds: Mapping[str, type], name: str, parameters: Mapping[str, Any]) -> Any:
    kind = kinds[name]
    given = {parameter: _value(kinds, value) for parameter, value in parameters.items()}
    if "seed" in inspect.signature(kind).parameters:
        given.setdefault("seed", _SEED)
    return kind(**given)


def _value(kinds: Mapping[str, type], value: Any) -> Any:
    """``{optim.SGD: {lr: 0.01}}`` is an object of river's, and so is a list of them: a pipeline."""
    within = _within(value)
    return _pipeline([_made(kinds, name, parameters) for name, parameters in within]) if within else value


def _within(value: Any) -> list[Step]:
    """The steps a parameter's value names; none if it is a plain value."""
    entries = value if isinstance(value, list) else [value]
    steps = [next(iter(entry.items())) for entry in entries if isinstance(entry, dict) and len(entry) == 1]
    if len(steps) != len(entries) or not all(isinstance(parameters, dict | None) for _, parameters in steps):
        return []
    return [(name, parameters or {}) for name, parameters in steps]


def _pipeline(made: Sequence[Any]) -> Any:
    from river import compose

    return made[0] if len(made) == 1 else compose.Pipeline(*made)


def _of_module(name: str, known: Collection[str]) -> list[str]:
    module = name.rpartition(".")[0]
    return sorted(other for other in known if other.rpartition(".")[0] == module) or sorted(known)


def _hint(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
