"""Options of `anomaly`."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from gateway.contract import Duration, WatchOptions


class AnomalyOptions(WatchOptions):
    """Everything has a default that suits a plant; `false_alarms_per_week` is the one to set."""

    false_alarms_per_week: float = Field(1.0, gt=0, le=1000, description="per tag, in normal operation: the sensitivity")
    memory: Duration = Field(
        "1d", gt=0, description="how far back the usual level looks; the history of deviations looks back 14 times as far"
    )  # type: ignore[assignment]
    smooth: Duration = Field("10s", gt=0, description="what is shorter is a spike, what is longer is a change of level")  # type: ignore[assignment]
    warm_up: Duration = Field("1h", description="learn this long before the first opinion")  # type: ignore[assignment]
    warm_up_readings: int = Field(300, ge=100, description="and from this many readings")
    gap: Duration = Field("10m", gt=0, description="after a silence this long, settle before the next opinion")  # type: ignore[assignment]
    accept_after: Duration = Field("18h", gt=0, description="a new level that stays this long becomes the usual one")  # type: ignore[assignment]
    together: Duration = Field(  # type: ignore[assignment]
        "1m", description="alarms of a machine's tags that begin within this time of the first are one incident"
    )
    at_least: float = Field(0.0, ge=0, description="smaller deviations are never an anomaly, in engineering units")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.smooth >= self.memory:
            raise ValueError("smooth must be shorter than memory")
        return self
