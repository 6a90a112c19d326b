"""`lineside backtest`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli import main

_PATH = click.Path(path_type=Path)


@main.command()
@click.argument("config", type=_PATH)
@click.argument("data", type=_PATH)
@click.option("--against", type=_PATH, metavar="CONFIG", help="a second configuration over the same data, and the difference")
@click.option(
    "--labels", type=_PATH, metavar="FILE", help="when something was wrong: JSON {tag or file: [[from, to]]}, or CSV machine,tag,from,to"
)
@click.option("--map", "mapping", multiple=True, metavar="COLUMN=MACHINE/TAG", help="which tag a column is, if their names differ")
@click.option("--time", metavar="COLUMN", help="with the time; default: time, timestamp and their like")
@click.option("--report", type=_PATH, metavar="FILE.html", help="write a page with a picture of every alarm")
@click.option("--scores", type=_PATH, metavar="FILE.csv", help="write every reading's calibrated score")
@click.option("--json", "as_json", is_flag=True, help="as one JSON object")
def backtest(
    config: Path,
    data: Path,
    against: Path | None,
    labels: Path | None,
    mapping: tuple[str, ...],
    time: str | None,
    report: Path | None,
    scores: Path | None,
    as_json: bool,
) -> None:
    """Say what CONFIG would have told of recorded data.

    Nothing is connected, sent or kept.
    DATA is a CSV file or a folder of them: a column with the time and one per tag, in engineering units. The watches, their gates
    and the incidents are those of the gateway, in the recording's own time. FILE of --labels is JSON, {"machine/tag": [[from, to]]},
    or a CSV with machine,tag,from,to; times without an offset are the plant's. Exit code 0: done, 2: something is wrong with what
    was given.
    """
    from gateway.commands.backtest import Wanted
    from gateway.commands.backtest import backtest as run

    wanted = Wanted(
        config=config,
        data=data,
        against=against,
        labels=labels,
        mapping=mapping,
        time=time,
        report=report,
        scores=scores,
        as_json=as_json,
    )
    sys.exit(run(wanted))
