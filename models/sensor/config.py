"""Options of `sensor`."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from gateway.contract import Duration, WatchOptions


class SensorOptions(WatchOptions):
    """Everything has a default that suits a plant."""

    bad_share: float = Field(0.2, gt=0, le=1, description="share of readings that are bad, or late, from which the sensor is told")
    window: Duration = Field("10m", gt=0, description="what the share is taken over; and a sensor is well again when it was well this long")  # type: ignore[assignment]
    warm_up: Duration = Field("1d", gt=0, description="learn this long before an opinion on what is learnt, and look back in such steps")  # type: ignore[assignment]
    warm_up_readings: int = Field(300, ge=100, description="and from this many readings")
    memory: Duration = Field("7d", gt=0, description="how fast what was usual once is forgotten")  # type: ignore[assignment]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.warm_up > self.memory:
            raise ValueError("warm_up must not be longer than memory")
        return self
