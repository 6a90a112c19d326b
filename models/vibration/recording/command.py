"""The command `lineside vibration`: options and help (entry point group ``gateway.commands``)."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from gateway.contract import ConfigError
from models.vibration.recording.given import Given, asked, check_numbers, span

if TYPE_CHECKING:
    from models.vibration.spectrum import Samples

_PATH = click.Path(path_type=Path)


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
def vibration(file: Path, **given: Unpack[Given]) -> None:
    """Examine a recording of a machine's vibration, with the analysis the gateway runs.

    FILE is npz, wav, csv or mat (MATLAB 4 to 7.2). Exit code 0: examined, 2: something is wrong with what was given.
    """
    if find_spec("scipy") is None:
        raise click.ClickException("needs scipy, which this installation lacks: install the package lineside-analytics, or with pip: scipy")
    from models.vibration.recording.read import Unreadable

    try:
        told = _examined(file, given)
    except Unreadable as exc:
        raise _Wrong(f"{file}: {exc}") from exc
    except ConfigError as exc:
        raise _Wrong(str(exc)) from exc
    except OSError as exc:
        raise _Wrong(f"{exc.filename}: {exc.strerror or exc}") from exc
    click.echo(told)


def _examined(file: Path, given: Given) -> str:
    """What is printed. Raises Unreadable, ConfigError, OSError."""
    from models.vibration.recording.examine import examine
    from models.vibration.recording.report import document, text

    check_numbers(given)
    samples, rate, rpm, channel = _signal(file, given)
    found, title = examine(samples, asked(given, rate, rpm)), f"{file.name} {channel}"
    if (plot := given["plot"]) is not None:
        from models.vibration.recording.picture import panels, png

        zoom = span(given["zoom"], "--zoom") if given["zoom"] else None
        plot.write_bytes(png(panels(found, given["unit"], zoom), title))
    return json.dumps(document(found, given["unit"]), indent=1) if given["as_json"] else text(found, given["unit"], title)


def _signal(file: Path, given: Given) -> tuple[Samples, float, float | None, str]:
    """Samples in `unit`, samples a second, speed of the shaft, name of the channel."""
    import numpy as np

    from models.vibration.analysis import unusable
    from models.vibration.recording.read import Unreadable, read
    from models.vibration.recording.tacho import tracked

    recording = read(file, given["channel"])
    rate = given["rate_hz"] or recording.rate_hz
    if rate is None or rate <= 0:
        raise Unreadable("does not tell its sampling rate; give --rate-hz")
    samples, rpm = recording.samples, recording.rpm if given["speed_rpm"] is None else given["speed_rpm"]
    if given["tacho"] is not None:
        samples, rate, rpm = tracked(samples, rate, read(file, given["tacho"]).samples)
    with np.errstate(over="ignore"):
        samples = samples * samples.dtype.type(given["scale"])
    if unusable(samples):
        raise Unreadable("holds values beyond anything that vibrates")
    return samples, rate, rpm, recording.channel


class _Wrong(click.ClickException):
    """One line on standard error."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        click.echo(f"vibration: {self.message}", err=True)
