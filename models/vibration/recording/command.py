"""The command `lineside vibration`: options and help (entry point group ``gateway.commands``)."""

from __future__ import annotations

import json
from importlib.util import find_spec
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.contract import ConfigError

if TYPE_CHECKING:
    from models.vibration.analysis import Band
    from models.vibration.bearing import Orders
    from models.vibration.severity import Zones

_PATH = click.Path(path_type=Path)
_MOST = 1e9
_FLAT = 90.0
_POWER = ("up to 200 kW", "above 200 kW")
_GEOMETRY = ("balls", "ball_diameter", "pitch_diameter", "contact_angle")


@click.command(short_help="Examine a recording: severity, shaft, bearing.")
@click.argument("file", type=_PATH)
@click.option("--channel", metavar="NAME", help="array or column of FILE, or its number from 0; default: the longest")
@click.option("--rate-hz", type=click.FloatRange(min=0, min_open=True), help="samples a second, where FILE does not tell")
@click.option("--speed-rpm", type=float, help="of the shaft, where FILE does not tell")
@click.option("--tacho", metavar="NAME", help="channel with a pulse each revolution: the speed, and resampling by angle if it varies")
@click.option("--unit", type=click.Choice(["g", "m/s2", "mm/s", "um", "mm"]), default="g", show_default=True, help="of the samples")
@click.option("--scale", type=float, default=1.0, show_default=True, help="what a sample is times, to be in this unit")
@click.option("--bearing", metavar="DESIGNATION", help='such as "SKF 6205"')
@click.option("--geometry", metavar="balls=8,ball_diameter=15,pitch_diameter=65", help="instead; contact_angle=0 in degrees may follow")
@click.option("--band", metavar="LOW-HIGH", help='to demodulate, in Hz, or "kurtogram": the most impulsive one')
@click.option("--group", type=click.IntRange(1, 2), default=2, show_default=True, help="of ISO 20816-3: 1 above 300 kW, 2 15 to 300 kW")
@click.option("--support", type=click.Choice(["rigid", "flexible"]), default="rigid", show_default=True)
@click.option("--pump", type=click.IntRange(1, 2), help="category of ISO 10816-7, whose zones are taken instead")
@click.option("--above-200-kw", is_flag=True, help="the pump's power")
@click.option("--zones", metavar="1.4,2.8,4.5", help="own limits A/B, B/C and C/D in mm/s rms")
@click.option("--teeth", type=click.IntRange(min=0), default=0, help="of a gear on the shaft")
@click.option("--blades", type=click.IntRange(min=0), default=0, help="of a wheel on the shaft")
@click.option("--mains-hz", type=click.FloatRange(min=0), default=0.0, help="of an electrical machine: 50 or 60")
@click.option(
    "--level", type=click.FloatRange(min=0, min_open=True), default=3.0, show_default=True, help="score from which damage is claimed"
)
@click.option("--plot", type=_PATH, metavar="FILE.png", help="draw waveform, spectrum and envelope")
@click.option("--zoom", metavar="LOW-HIGH", help="and this part of the velocity spectrum, in Hz, as fine as FILE is long")
@click.option("--json", "as_json", is_flag=True, help="as one JSON object")
def vibration(
    file: Path,
    channel: str | None,
    rate_hz: float | None,
    speed_rpm: float | None,
    tacho: str | None,
    unit: str,
    scale: float,
    bearing: str | None,
    geometry: str | None,
    band: str | None,
    group: int,
    support: str,
    pump: int | None,
    above_200_kw: bool,
    zones: str | None,
    teeth: int,
    blades: int,
    mains_hz: float,
    level: float,
    plot: Path | None,
    zoom: str | None,
    as_json: bool,
) -> None:
    """Examine a recording of a machine's vibration, with the analysis the gateway runs.

    FILE is npz, wav, csv or mat (MATLAB 4 to 7.2). Exit code 0: examined, 2: something is wrong with what was given.
    """
    if find_spec("scipy") is None:
        raise click.ClickException("needs scipy, which this installation lacks: install the package lineside-analytics, or with pip: scipy")
    import numpy as np

    from models.vibration.analysis import unusable
    from models.vibration.orders.patterns import Machine
    from models.vibration.recording.examine import Asked, examine
    from models.vibration.recording.read import Unreadable, read
    from models.vibration.recording.report import document, text
    from models.vibration.recording.tacho import tracked
    from models.vibration.severity import iso_zones, pump_zones
    from models.vibration.units import UNITS

    try:
        for option, value in (
            ("--rate-hz", rate_hz),
            ("--speed-rpm", speed_rpm),
            ("--scale", scale),
            ("--level", level),
            ("--mains-hz", mains_hz),
        ):
            if value is not None and (not isfinite(value) or abs(value) > _MOST):
                raise ConfigError(f"{option}: {value:g} cannot be meant")
        recording = read(file, channel)
        rate = rate_hz or recording.rate_hz
        if rate is None or rate <= 0:
            raise Unreadable("does not tell its sampling rate; give --rate-hz")
        samples, rpm = recording.samples, recording.rpm if speed_rpm is None else speed_rpm
        if tacho is not None:
            samples, rate, rpm = tracked(samples, rate, read(file, tacho).samples)
        asked = Asked(
            rate_hz=rate,
            rpm=rpm,
            unit=UNITS[unit],
            orders=_orders(bearing, geometry),
            zones=_zones(zones, iso_zones(group, support) if pump is None else pump_zones(pump, _POWER[above_200_kw])),
            band=_band(band),
            level=level,
            machine=Machine(0.0, teeth, blades, mains_hz),
        )
        with np.errstate(over="ignore"):
            samples = samples * samples.dtype.type(scale)
        if unusable(samples):
            raise Unreadable("holds values beyond anything that vibrates")
        found = examine(samples, asked)
        if plot is not None:
            from models.vibration.recording.picture import panels, png

            plot.write_bytes(png(panels(found, unit, _range(zoom, "--zoom") if zoom else None), f"{file.name} {recording.channel}"))
    except Unreadable as exc:
        raise _Wrong(f"{file}: {exc}") from exc
    except ConfigError as exc:
        raise _Wrong(str(exc)) from exc
    except OSError as exc:
        raise _Wrong(f"{exc.filename}: {exc.strerror or exc}") from exc
    click.echo(json.dumps(document(found, unit), indent=1) if as_json else text(found, unit, f"{file.name} {recording.channel}"))


class _Wrong(click.ClickException):
    """One line on standard error."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        click.echo(f"vibration: {self.message}", err=True)


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
    return "kurtogram" if text == "kurtogram" else _range(text, "--band")


def _range(text: str, option: str) -> tuple[float, float]:
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
