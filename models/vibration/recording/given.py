"""What was given to `lineside vibration`, and what it means."""

from __future__ import annotations

from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from gateway.contract import ConfigError

if TYPE_CHECKING:
    from models.vibration.analysis import Band
    from models.vibration.bearing import Orders
    from models.vibration.recording.examine import Asked
    from models.vibration.severity import Zones

_MOST = 1e9
_FLAT = 90.0
_POWER = ("up to 200 kW", "above 200 kW")
_GEOMETRY = ("balls", "ball_diameter", "pitch_diameter", "contact_angle")


class Given(TypedDict):
    """The command's options, by the names click gives them."""

    channel: str | None
    rate_hz: float | None
    speed_rpm: float | None
    tacho: str | None
    unit: str
    scale: float
    bearing: str | None
    geometry: str | None
    band: str | None
    group: int
    support: str
    pump: int | None
    above_200_kw: bool
    zones: str | None
    teeth: int
    blades: int
    mains_hz: float
    level: float
    plot: Path | None
    zoom: str | None
    as_json: bool


def check_numbers(given: Given) -> None:
    """Raises ConfigError."""
    numbers = {
        "--rate-hz": given["rate_hz"],
        "--speed-rpm": given["speed_rpm"],
        "--scale": given["scale"],
        "--level": given["level"],
        "--mains-hz": given["mains_hz"],
    }
    for option, value in numbers.items():
        if value is not None and (not isfinite(value) or abs(value) > _MOST):
            raise ConfigError(f"{option}: {value:g} cannot be meant")


def asked(given: Given, rate: float, rpm: float | None) -> Asked:
    """Raises ConfigError."""
    from models.vibration.orders.patterns import Machine
    from models.vibration.recording.examine import Asked
    from models.vibration.severity import iso_zones, pump_zones
    from models.vibration.units import UNITS

    pump = given["pump"]
    standard = iso_zones(given["group"], given["support"]) if pump is None else pump_zones(pump, _POWER[given["above_200_kw"]])
    return Asked(
        rate_hz=rate,
        rpm=rpm,
        unit=UNITS[given["unit"]],
        orders=_orders(given["bearing"], given["geometry"]),
        zones=_zones(given["zones"], standard),
        band=_band(given["band"]),
        level=given["level"],
        machine=Machine(0.0, given["teeth"], given["blades"], given["mains_hz"]),
    )


def _orders(bearing: str | None, geometry: str | None) -> Orders | None:
    from models.vibration.bearing import look_up, orders

    if bearing is not None and geometry is not None:
        raise ConfigError("give --bearing or --geometry, not both")
    if bearing is not None:
        return look_up(bearing)
    if geometry is None:
        return None
    found: dict[str, float] = {}
    for part in geometry.split(","):
        name, _, value = part.partition("=")
        if name.strip() not in _GEOMETRY:
            raise ConfigError(f"--geometry knows no {name.strip()!r}; it has {', '.join(_GEOMETRY)}")
        found[name.strip()] = _number(value, f"--geometry {name.strip()}")
    if missing := [name for name in _GEOMETRY[:3] if found.get(name, 0.0) <= 0]:
        raise ConfigError(f"--geometry needs {', '.join(missing)} above 0")
    if not 0 <= found.get("contact_angle", 0.0) < _FLAT:
        raise ConfigError("--geometry contact_angle must be from 0 to below 90 degrees")
    if found["balls"] != int(found["balls"]):
        raise ConfigError("--geometry balls must be a whole number")
    try:
        return orders(int(found["balls"]), found["ball_diameter"], found["pitch_diameter"], found.get("contact_angle", 0.0))
    except ValueError as exc:
        raise ConfigError(f"--geometry: {exc}") from exc


def _zones(text: str | None, standard: Zones) -> Zones:
    from models.vibration.severity import Zones

    if text is None:
        return standard
    limits = [_number(part, "--zones") for part in text.split(",")]
    if len(limits) != 3 or not 0 < limits[0] < limits[1] < limits[2]:
        raise ConfigError("--zones must be three rising limits above 0, for example 1.4,2.8,4.5")
    return Zones((limits[0], limits[1], limits[2]), "own limits")


def _band(text: str | None) -> Band:
    if text is None:
        return None
    return "kurtogram" if text == "kurtogram" else span(text, "--band")


def span(text: str, option: str) -> tuple[float, float]:
    """LOW-HIGH in Hz. Raises ConfigError."""
    low, dash, high = text.partition("-")
    if not dash:
        raise ConfigError(f"{option} must be LOW-HIGH in Hz, for example 1500-5000")
    found = _number(low, option), _number(high, option)
    if not 0 <= found[0] < found[1]:
        raise ConfigError(f"{option} must begin below its end")
    return found


def _number(text: str, of: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = nan
    if not isfinite(found) or abs(found) > _MOST:
        raise ConfigError(f"{of}: {text.strip()!r} is no number that can be meant")
    return found
