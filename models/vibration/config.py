"""Options of `vibration`."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from gateway.contract import BlockWatchOptions, Range, StrictModel


class Iso(StrictModel):
    """Which row of ISO 20816-3's zone table holds for the machine."""

    group: Literal[1, 2] = Field(2, description="1: above 300 kW or shaft height from 315 mm; 2: 15 to 300 kW")
    support: Literal["rigid", "flexible"] = "rigid"


class Pump(StrictModel):
    """Which row of ISO 10816-7's zone table holds for the pump."""

    category: Literal[1, 2] = Field(2, description="1: of high reliability, availability or safety; 2: others")
    power: Literal["up to 200 kW", "above 200 kW"] = "up to 200 kW"


class VibrationOptions(BlockWatchOptions):
    """For tags of kind waveform with unit g, m/s2, mm/s, um or mm."""

    iso: Iso = Iso()
    pump: Pump | None = Field(None, description="instead of iso: the zones are those of ISO 10816-7 for rotodynamic pumps")
    zones: tuple[float, float, float] | None = Field(
        None, description="own limits A/B, B/C and C/D in mm/s rms instead of the table's", examples=[[1.4, 2.8, 4.5]]
    )
    baseline: float | None = Field(
        None, gt=0, description="usual velocity in mm/s rms: the warning then begins a quarter of B/C above it, at most at 1.25 B/C"
    )
    hysteresis: float = Field(0.1, ge=0, lt=1, description="a zone is left this share below its limit")
    bearing: str | None = Field(None, description="the machine whose bearing this is; default: the tag's own machine")
    points: dict[str, dict[Literal["axial", "horizontal", "vertical"], str]] | None = Field(
        None,
        description="measuring points of each machine watched, with the tag of each direction: one incident for one cause, with its place",
        examples=[{"drive_end": {"horizontal": "vibration_x", "axial": "vibration_z"}, "free_end": {"horizontal": "vibration_2"}}],
    )
    tacho: str | None = Field(
        None,
        description="tag of kind waveform, of each machine watched, with the shaft's pulses; blocks wait for its of the same time",
    )
    tacho_pulses: int = Field(1, ge=1, le=10_000, description="pulses in each revolution")
    estimate_speed: bool = Field(
        False, description="where no tag and no tacho tells the speed: take it from the spectrum, near the bearing's number if it has one"
    )
    load_step: float | None = Field(
        None, gt=0, description="width of a class of load, in the unit of the tag that `load` names: trends learn each class apart"
    )
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
        if len({"iso", "pump", "zones"} & self.model_fields_set) > 1:
            raise ValueError("give iso, pump or zones, not two of them")
        if (self.load is None) != (self.load_step is None):
            raise ValueError("load and load_step go together: the tag, and the width of a class in its unit")
        named = [tag for tags in (self.points or {}).values() for tag in tags.values()]
        if twice := {tag for tag in named if named.count(tag) > 1}:
            raise ValueError(f"points names {', '.join(sorted(twice))} twice")
        if self.zones is not None and (self.zones[0] <= 0 or any(lower >= upper for lower, upper in pairwise(self.zones))):
            raise ValueError("zones must be three rising limits above 0, for example [1.4, 2.8, 4.5]")
        if self.band is not None and self.band != "kurtogram" and self.band[0] < 0:
            raise ValueError("band must not begin below 0 Hz")
        return self
