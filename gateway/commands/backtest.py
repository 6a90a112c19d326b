"""`lineside backtest`: a configuration over recorded data, at full speed; sends nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from gateway.backtest.columns import assign
from gateway.backtest.figures import rows
from gateway.backtest.labels import Window, read_labels
from gateway.backtest.page import Run, html
from gateway.backtest.play import Played, play
from gateway.backtest.recording import File, Recording, by_tag, find, read
from gateway.backtest.scores import ScoreBook
from gateway.backtest.table import cells, delay, differences, head
from gateway.commands.printing import counted, printable, when
from gateway.config import ConfigErrors, Settings, load, render
from gateway.contract import ConfigError, Json, Tag

_WIDE = 110


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line says."""

    config: Path
    data: Path
    against: Path | None = None
    labels: Path | None = None
    mapping: tuple[str, ...] = ()
    time: str | None = None
    report: Path | None = None
    scores: Path | None = None
    as_json: bool = False


def backtest(wanted: Wanted) -> int:
    """Exit code: 0 done, 2 something is wrong with what was given."""
    try:
        return _backtest(wanted)
    except ConfigErrors as exc:
        click.echo(render(exc.problems), err=True)
    except ConfigError as exc:
        click.echo(f"backtest: {exc}", err=True)
    except OSError as exc:
        click.echo(f"backtest: {exc.filename}: {exc.strerror or exc}", err=True)
    return 2


def _backtest(wanted: Wanted) -> int:
    configs = [load(path, secrets=False) for path in (wanted.config, wanted.against) if path is not None]
    files = find(wanted.data, wanted.time)
    mapping = _mapping(wanted.mapping)
    columns = [assign(files, settings, mapping) for settings in configs]
    with _bar() as bar:
        recording = _read(files, columns, configs[0], bar)
        windows = _windows(wanted, files, configs[0], columns[0], recording)
        scored = wanted.scores is not None or wanted.report is not None  # a score of every reading costs more than its judgement
        played = [_run(settings, mine, recording, windows, bar, scored) for settings, mine in zip(configs, columns, strict=True)]
    _remarks(recording, played)
    runs = [run for run, _ in played]
    if wanted.scores is not None:
        _write_scores(wanted.scores, *played[0])
    if wanted.report is not None:
        with wanted.report.open("w", encoding="utf-8") as page:
            page.writelines(html(runs, windows, configs[0].site.timezone, str(wanted.data)))
    if wanted.as_json:
        click.echo(json.dumps(_document(wanted, runs), indent=1))
    else:
        _print(runs, labelled=windows is not None)
    return 0


def _mapping(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in given:
        column, sign, path = text.partition("=")
        if not sign or "/" not in path:
            raise ConfigError(f"--map {text}: write --map COLUMN=MACHINE/TAG")
        found[column.strip()] = path.strip()
    return found


def _read(files: Sequence[File], columns: Sequence[Mapping[str, Tag]], settings: Settings, bar: Progress) -> Recording:
    task = bar.add_task("reading", total=None)
    wanted = list(dict.fromkeys(column for mine in columns for column in mine))
    recording = read(files, wanted, settings.site.timezone, lambda count: bar.advance(task, count))
    bar.update(task, total=len(recording.batch), completed=len(recording.batch))
    return recording


def _windows(
    wanted: Wanted, files: Sequence[File], settings: Settings, columns: Mapping[str, Tag], recording: Recording
) -> list[Window] | None:
    """The labelled ones; those that begin after the recording's end, or end before it begins, are not asked for."""
    if wanted.labels is None:
        return None
    tags = {file.path.name: [tag.path for name, tag in columns.items() if file.long or name in file.columns] for file in files}
    found = read_labels(wanted.labels, settings.site.timezone, files=tags)
    first, last = int(recording.batch.t_ns.min()), int(recording.batch.t_ns.max())
    inside = [window for window in found if window.from_ns <= last and window.to_ns >= first]
    if not inside:
        raise ConfigError(f"{wanted.labels}: no window lies between {when(first)} and {when(last)}, where the recording is")
    return inside


def _run(
    settings: Settings, columns: Mapping[str, Tag], recording: Recording, windows: Sequence[Window] | None, bar: Progress, scored: bool
) -> tuple[Run, Played]:
    readings, ahead_ns, scores = recording.of(columns), recording.ahead_of(columns), ScoreBook()
    task = bar.add_task(str(settings.path), total=len(readings))
    played = play(settings, readings, ahead_ns, progress=lambda count: bar.advance(task, count), scores=scores.of if scored else None)
    series = by_tag(readings)
    run = Run(
        name=settings.path.name,
        tags=tuple({tag.index: tag for tag in columns.values() if tag.index in series}.values()),
        readings=readings,
        series=series,
        rows=rows(played, readings, windows),
        alarms=played.book.alarms,
        scores=scores,
    )
    if not run.rows:
        raise ConfigError(f"{settings.path}: no watch looks at what is recorded: {', '.join(tag.path for tag in columns.values())}")
    return run, played


@contextmanager
def _bar() -> Iterator[Progress]:
    """On standard error, if somebody is there to see it."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        yield bar


def _remarks(recording: Recording, played: Sequence[tuple[Run, Played]]) -> None:
    """What one should know of the figures."""
    if recording.lost:
        click.echo(f"{counted(recording.lost, 'lines')} of the recording without a time: left out", err=True)
    if recording.back:
        click.echo(f"{counted(recording.back, 'readings')} older than the one before: late, as in operation", err=True)
    if recording.ahead_ns.any():
        click.echo("a clock was set back meanwhile, which is seen after a minute, as in operation", err=True)
    for run, result in played:
        if result.bad:
            click.echo(f"{run.name}: {counted(result.bad, 'readings')} bad (no number, outside the range, stuck): not looked at", err=True)
        recorded = {tag.path for tag in run.tags}
        for watch in result.line.watches:
            missing = [tag.path for tag in watch.settings.tags if tag.path not in recorded]
            if 0 < len(missing) < len(watch.settings.tags):
                click.echo(f"{run.name}: {watch.name}: not recorded: {_few(missing)}", err=True)
            _gate(run, watch.name, watch.settings.options.only_when, {tag.machine for tag in watch.settings.tags}, recorded)
        if result.book.facts:
            click.echo(f"{run.name}: {counted(len(result.book.facts), 'facts')} beside the alarms, such as {_fact(result)}", err=True)


def _gate(run: Run, watch: str, only_when: str | None, machines: set[str], recorded: set[str]) -> None:
    """A gate whose tags are not recorded never opens."""
    from gateway.expression import compile_expression

    names = compile_expression(only_when).names if only_when else ()
    missing = sorted(f"{machine}/{name}" for machine in machines for name in names if f"{machine}/{name}" not in recorded)
    if missing:
        click.echo(f"{run.name}: {watch} looks only when {only_when!r}, and {_few(missing)} is not recorded", err=True)


def _fact(played: Played) -> str:
    return printable(played.book.facts[0][1].title)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _write_scores(path: Path, run: Run, played: Played) -> None:
    if not played.scoring:
        raise ConfigError(f"{run.name}: no scores to write: {_few(played.silent)} give none; watch the tags with `anomaly`, for example")
    if played.silent:
        click.echo(f"{run.name}: {_few(played.silent)}: gives no scores, so {path} has none of it", err=True)
    with path.open("w", encoding="utf-8") as file:
        count = run.scores.write(file)
    click.echo(f"{counted(count, 'scores')} in {path}", err=True)


def _document(wanted: Wanted, runs: Sequence[Run]) -> Json:
    found = [
        {
            "config": str(path),
            "from": when(int(run.readings.t_ns.min())),
            "to": when(int(run.readings.t_ns.max())),
            "readings": len(run.readings),
            "watches": [row.as_json() for row in run.rows],
            "alarms": [
                {
                    "watch": alarm.watch,
                    "machine": alarm.machine,
                    "condition": alarm.condition,
                    "tags": list(alarm.tags),
                    "title": alarm.title,
                    "score": alarm.score,
                    "since": when(alarm.since_ns),
                    "raised": when(alarm.raised_ns),
                    "cleared": when(alarm.cleared_ns) if alarm.cleared_ns else None,
                }
                for alarm in run.alarms
            ],
        }
        for path, run in zip((wanted.config, wanted.against), runs, strict=False)
    ]
    if len(runs) == 1:
        return found[0]
    return found[0] | {"against": found[1], "difference": differences(runs[0].rows, runs[1].rows)}


def _print(runs: Sequence[Run], *, labelled: bool) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE + 40)
    for run in runs:
        console.print(_table(run.name if len(runs) > 1 else "", [cells(row, labelled) for row in run.rows], head(labelled)))
    if len(runs) > 1:
        _print_difference(console, runs, labelled=labelled)


def _print_difference(console: Console, runs: Sequence[Run], *, labelled: bool) -> None:
    found = differences(runs[0].rows, runs[1].rows)
    if not found:
        click.echo("no watch is in both under the same name with the same tag; give them names to compare them", err=True)
        return
    lines = [
        [
            *(one["watch"], one["tag"], f"{one['alarms']:+d}", _signed(one["alarms_per_week"])),
            *(f"{one['windows_hit']:+d}", _later(one["median_delay_seconds"]), _signed(one["false_alarms_per_week"])),
        ]
        for one in found
    ]
    names = ["watch", "tag", "alarms", "alarms/week", "windows hit", "median delay", "false alarms/week"]
    most = len(names) if labelled else 4
    console.print(_table(f"{runs[0].name} less {runs[1].name}", [line[:most] for line in lines], names[:most]))


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _later(seconds: float | None) -> str:
    return "-" if seconds is None else f"{'-' if seconds < 0 else '+'}{delay(abs(seconds))}"


def _table(title: str, lines: Sequence[Sequence[str]], names: Sequence[str]) -> Table:
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, name in enumerate(names):
        table.add_column(name, justify="left" if i < 2 else "right", overflow="fold")
    for line in lines:
        table.add_row(*(printable(cell) for cell in line))
    return table
