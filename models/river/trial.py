"""Three rows through a fresh model: what it refuses only when it works is known at the start, not in the night."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gateway.contract import ConfigError
from models.river.config import RiverOptions
from models.river.scorer import Diverged, scorer

_NAMES = ("a", "b")
_ROWS = np.array([[1.0, 2.0], [1.5, 2.5], [1.2, 2.1]])


def refuse_unworkable(options: RiverOptions, make: Callable[[], Any]) -> None:
    """Raises ConfigError for parameters the model cannot work with, such as a text for a number."""
    try:
        with np.errstate(all="ignore"):
            _run(options, make)
    except (Diverged, TypeError, AttributeError, LookupError) as exc:
        raise ConfigError(f"{options.title} cannot work with its parameters: {exc}") from exc


def _run(options: RiverOptions, make: Callable[[], Any]) -> None:
    if options.kind == "drift":
        model = make()
        for value in _ROWS[:, 0].tolist():
            model.update(value)
        return
    tried = scorer(options.model_copy(update={"predict": None}), _NAMES, make)
    for row in _ROWS:
        tried.score(row)
        tried.learn(row)
