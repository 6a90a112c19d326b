"""Options of `order`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.contract import Duration, WatchOptions
from models.order.path import steps


def _path(text: str) -> str:
    steps(text)
    return text


Path = Annotated[str, AfterValidator(_path)]


class OrderOptions(WatchOptions):
    """For records."""

    order: Path = Field("$.order", description="where the order's number stands in the record")
    step: Path = Field("$.step", description="where the step's name stands in the record")
    late_after: Duration | None = Field(None, gt=0, description="an order that takes no further step for this long is late")
    final: list[str] = Field(default_factory=list, description="steps after which nothing is waited for, for example [finished, shipped]")
    unreadable: Literal["tell", "ignore"] = Field("tell", description="records without order or step; ignore: others share the topic")
    max_orders: int = Field(10_000, ge=1, le=1_000_000, description="orders remembered; the longest unseen is forgotten first")
    clear_after: Duration | None = Field("0s", description="always 0: an order that moves on is not late any more")  # type: ignore[assignment]

    @model_validator(mode="after")
    def _plain(self) -> Self:
        if self.clear_after:
            raise ValueError("leave clear_after out: an order that moves on is not late any more")
        if self.hold is not None:
            raise ValueError("leave hold out: late_after says how long an order may stand still")
        return self
