"""Options of `limit`."""

from __future__ import annotations

from itertools import pairwise
from typing import Self

from pydantic import Field, model_validator

from gateway.contract import WatchOptions


class LimitOptions(WatchOptions):
    """At least one limit, in the tags' engineering units."""

    high: float | None = Field(None, description="above: warning")
    high_high: float | None = Field(None, description="above: critical")
    low: float | None = Field(None, description="below: warning")
    low_low: float | None = Field(None, description="below: critical")
    rate: float | None = Field(None, gt=0, description="change per second, either way, above: warning")
    hysteresis: float = Field(0.0, ge=0, description="how far back inside a limit the value must be before it counts as over")

    @property
    def sides(self) -> list[str]:
        """Those that have a limit, each a condition of its own."""
        given = {"high": (self.high, self.high_high), "low": (self.low, self.low_low), "rate": (self.rate,)}
        return [side for side, limits in given.items() if any(limit is not None for limit in limits)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        given = [(name, getattr(self, name)) for name in ("low_low", "low", "high", "high_high") if getattr(self, name) is not None]
        if not given and self.rate is None:
            raise ValueError("give at least one of high, high_high, low, low_low, rate")
        for (lower_name, lower), (upper_name, upper) in pairwise(given):
            if lower >= upper:
                raise ValueError(f"{lower_name} {lower:g} must be below {upper_name} {upper:g}")
        return self
