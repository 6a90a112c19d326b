"""What a sensor measures, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

STANDARD_GRAVITY: Final = 9.80665


@dataclass(frozen=True, slots=True)
class Unit:
    """A sample times `factor` is in m/s², mm/s or µm, as `quantity` says."""

    quantity: Literal["acceleration", "velocity", "displacement"]
    factor: float

    @property
    def hears_bearings(self) -> bool:
        """What impacts excite lies at kilohertz, where velocity and displacement are nothing."""
        return self.quantity == "acceleration"


UNITS: Final = {
    "g": Unit("acceleration", STANDARD_GRAVITY),
    **dict.fromkeys(("m/s2", "m/s²", "m/s^2"), Unit("acceleration", 1.0)),
    "mm/s": Unit("velocity", 1.0),
    **dict.fromkeys(("um", "µm", "μm"), Unit("displacement", 1.0)),
    "mm": Unit("displacement", 1000.0),
}
