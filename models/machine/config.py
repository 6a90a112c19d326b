"""Options of `machine`."""

from __future__ import annotations

from pydantic import Field

from gateway.contract import Duration, FrameWatchOptions


class MachineOptions(FrameWatchOptions):
    """Sensitivity is one number, `false_alarms_per_week`; `smooth` is the shortest fault that matters."""

    false_alarms_per_week: float = Field(1.0, gt=0, le=1000, description="per machine, in normal operation")
    smooth: Duration = Field("1m", gt=0, description="deviations are averaged over this time; shorter ones are not looked for")  # type: ignore[assignment]
    state: str | None = Field(
        None, description="a tag of the machine that holds its operating state or recipe; each value is learnt by itself, up to eight"
    )
    warm_up: Duration = Field("1h", description="each operating state is learnt for this long before the first opinion")  # type: ignore[assignment]
    warm_up_rows: int = Field(300, ge=50, description="and for at least so many rows")
    memory: Duration = Field("7d", gt=0, description="how long normal operation is remembered")  # type: ignore[assignment]
    accept_after: Duration = Field("1d", gt=0, description="an anomaly that lasts this long is the new normal")  # type: ignore[assignment]
