"""Options of `river`."""

from __future__ import annotations

import re
from typing import Any, Literal, Self, TypeAlias

from pydantic import Field, JsonValue, model_validator

from gateway.contract import Duration, RationedWatchOptions

Step: TypeAlias = tuple[str, dict[str, Any]]
"""river's name of a step, ``anomaly.HalfSpaceTrees``, and its parameters."""

MODELS = ("anomaly", "drift", "time_series", "linear_model")
"""Modules whose estimators end a pipeline."""
BEFORE = ("preprocessing", "feature_extraction")
"""Modules whose transformers may stand before an anomaly or a regression model."""
_NAME = re.compile(rf"^({'|'.join(MODELS + BEFORE)})\.[A-Z][A-Za-z0-9]*$")


class RiverOptions(RationedWatchOptions):
    """Names of steps and parameters are checked against river before the start; values when the model is built."""

    model: str | list[str | dict[str, dict[str, JsonValue]]] = Field(
        description="river's name of it; or a pipeline: the steps in their order, each a name or a name with its parameters",
        examples=["anomaly.HalfSpaceTrees", ["preprocessing.StandardScaler", {"anomaly.LODA": {"n_bins": 20}}]],
    )
    parameters: dict[str, JsonValue] = Field(default_factory=dict, description="of the last step, as river's documentation names them")
    predict: str | None = Field(None, description="regression: the tag that is predicted from the others; default: each of them")
    scale: Literal["minmax", "standard", "none"] | None = Field(
        None, description="what is done to the tags before the model sees them; default: what suits the model"
    )
    false_alarms_per_week: float = Field(1.0, gt=0, le=1000, description="per machine, in normal operation; not of drift models")
    warm_up_rows: int = Field(1000, ge=100, description="rows to learn before the first opinion")
    smooth_rows: int = Field(5, ge=1, le=1000, description="the score is the mean of this many rows")
    remember: int = Field(
        2000, ge=200, le=20_000, description="rows and scores kept: the yardstick, and what is learnt again after a restart"
    )
    accept_after: Duration = Field("1d", gt=0, description="an anomaly that lasts this long is learnt as normal")  # type: ignore[assignment]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The pipeline, the model last."""
        given = [self.model] if isinstance(self.model, str) else self.model
        steps = [(step, {}) if isinstance(step, str) else next(iter(step.items())) for step in given]
        name, parameters = steps[-1]
        return (*steps[:-1], (name, {**parameters, **self.parameters}))

    @property
    def kind(self) -> str:
        """The module of the model: one of `MODELS`."""
        return self.steps[-1][0].split(".")[0]

    @property
    def condition(self) -> str:
        """
        >>> [RiverOptions(on="press-07", model=name).condition for name in ("anomaly.HalfSpaceTrees", "time_series.SNARIMAX")]
        ['half_space_trees_anomaly', 'snarimax_anomaly']
        """
        model = self.steps[-1][0].split(".")[1]
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model).lower() + "_anomaly"

    @property
    def title(self) -> str:
        """``preprocessing.StandardScaler | anomaly.LODA``"""
        return " | ".join(name for name, _ in self.steps)

    @property
    def scaling(self) -> Literal["minmax", "standard", "none"]:
        """A pipeline scales by itself; Holt-Winters begins its seasons with a share of the level, which must not be near 0."""
        if self.scale is not None:
            return self.scale
        if len(self.steps) > 1 or self.steps[-1][0] == "time_series.HoltWinters":
            return "none"
        return "standard" if self.kind in ("time_series", "linear_model") else "minmax"

    @model_validator(mode="after")
    def _is_a_pipeline(self) -> Self:
        if isinstance(self.model, list) and any(len(step) != 1 for step in self.model if isinstance(step, dict)):
            raise ValueError("model: a step is a name, or one name with its parameters")
        if not self.model:
            raise ValueError("model: a pipeline needs a step")
        names = [name for name, _ in self.steps]
        for name in names:
            if not _NAME.match(name):
                raise ValueError(f"model: {name!r} is no name of river's such as {', '.join(f'{module}.…' for module in MODELS + BEFORE)}")
        *before, last = (name.split(".")[0] for name in names)
        if last not in MODELS:
            raise ValueError(f"model: a pipeline ends with a model ({', '.join(MODELS)}), not with {names[-1]}")
        if wrong := [name for name, module in zip(names, before, strict=False) if module not in BEFORE]:
            raise ValueError(f"model: {wrong[0]} cannot stand before another step; {' and '.join(BEFORE)} can")
        if before and last in ("drift", "time_series"):
            raise ValueError(f"model: {names[-1]} sees one tag as it is: no step can stand before it")
        if self.predict is not None and last != "linear_model":
            raise ValueError("predict: only regression models (linear_model) predict a tag")
        return self
