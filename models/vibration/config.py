"""Options of `vibration`."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from gateway.contract import Range, StrictModel, WatchOptions


class Iso(StrictModel):
    """Which row of ISO 20816-3's zone table holds for the machine."""

    group: Literal[1, 2] = Field(2, description="1: above 300 kW or shaft height from 315 mm; 2: 15 to 300 kW")
    support: Literal["rigid", "flexible"] = "rigid"


class VibrationOptions(WatchOptions):
    """For tags of kind waveform with unit g, m/s2 or mm/s."""

    iso: Iso = Iso()
    zones: tuple[float, float, float] | None = Field(
        None, description="own limits A/B, B/C and C/D in mm/s rms instead of the table's", examples=[[1.4, 2.8, 4.5]]
    )
    hysteresis: float = Field(0.1, ge=0, lt=1, description="a zone is left this share below its limit")
    bearing: str | None = Field(None, description="the machine whose bearing this is; default: the tag's own machine")
    band: Range | Literal["kurtogram"] | None = Field(
        None,
        description='demodulated band in Hz; default 0.2 to 0.8 of half the rate; "kurtogram": the most impulsive one of each block',
        examples=[[1500, 5000], "kurtogram"],
    )
    level: float = Field(3.0, gt=0, description="score from which a bearing fault is claimed")
    confirm: int = Field(3, ge=1, le=100, description="this many blocks in a row must agree before anything is told, either way")
    memory: int = Field(64, ge=1, le=10_000, description="blocks that the diagnosis looks back: the more, the fainter a fault it finds")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.zones is not None:
            if "iso" in self.model_fields_set:
                raise ValueError("give iso or zones, not both")
            if self.zones[0] <= 0 or any(lower >= upper for lower, upper in pairwise(self.zones)):
                raise ValueError("zones must be three rising limits above 0, for example [1.4, 2.8, 4.5]")
        if self.band is not None and self.band != "kurtogram" and self.band[0] < 0:
            raise ValueError("band must not begin below 0 Hz")
        return self
