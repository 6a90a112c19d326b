"""The battery of detectors over each kind of model; over half-space trees it goes with the other plugins. Two kinds are in `make test`."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from gateway.testkit.checks import detector_checks
from gateway.testkit.rigs.river import Rig

MODELS: dict[str, dict[str, Any]] = {
    "pipeline": {"model": ["preprocessing.StandardScaler", "linear_model.LinearRegression"], "predict": "oil_pressure"},
    "forecaster": {"model": "time_series.HoltWinters", "parameters": {"alpha": 0.1, "beta": 0.01, "gamma": 0.2, "seasonality": 19}},
    "drift": {"model": "drift.ADWIN", "scale": "standard"},
}
NO_CONDITION = ("faulty_input_is_found", "first_opinion_is_told_after_load", "damaged_input_is_survived")
"""A drift is a fact: never ACTIVE, never OVER."""


@cache
def rig_of(name: str) -> Rig:
    model = MODELS[name]
    steps = model["model"] if isinstance(model["model"], list) else [model["model"]]

    class Other(Rig):
        pass

    Other.model = {**model, "model": steps, "remember": 500}
    return Other()


@pytest.mark.parametrize("check", detector_checks.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.long] if name != "forecaster" else []) for name in MODELS])
def test_battery(name: str, check: Any) -> None:
    if name == "drift" and check.__name__ in NO_CONDITION:
        return
    check(rig_of(name))
