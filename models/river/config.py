"""Options of `river`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.contract import Duration, FrameWatchOptions


class RiverOptions(FrameWatchOptions):
    """Names of model and parameters are checked against river before the start; their values when the model is built."""

    model: str = Field(
        pattern=r"^(anomaly|drift)\.[A-Z][A-Za-z0-9]*$",
        description="river's name of it",
        examples=["anomaly.HalfSpaceTrees", "drift.ADWIN"],
    )
    parameters: dict[str, bool | int | float | str] = Field(default_factory=dict, description="as river's documentation names them")
    scale: Literal["minmax", "standard", "none"] = Field("minmax", description="what is done to the tags before the model sees them")
    false_alarms_per_week: float = Field(1.0, gt=0, le=1000, description="per machine, in normal operation; anomaly models only")
    warm_up_rows: int = Field(1000, ge=100, description="rows to learn before the first opinion")
    smooth_rows: int = Field(5, ge=1, le=1000, description="the score is the mean of this many rows")
    remember: int = Field(
        2000, ge=200, le=20_000, description="rows and scores kept: the yardstick, and what is learnt again after a restart"
    )
    accept_after: Duration = Field("1d", gt=0, description="an anomaly that lasts this long is learnt as normal")  # type: ignore[assignment]
