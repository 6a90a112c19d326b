"""The report: one HTML file without anything from outside, a picture of every channel and of every alarm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

import numpy as np

from gateway import __version__
from gateway.backtest.figures import Row
from gateway.backtest.labels import Window
from gateway.backtest.picture import Picture, svg
from gateway.backtest.play import Alarm
from gateway.backtest.recording import Series
from gateway.backtest.scores import ScoreBook
from gateway.backtest.table import cells, head
from gateway.contract import Batch, Json, Tag

MOST, MOST_CHANNELS = 300, 100
"""Pictures of alarms in one page (with more of them, the sensitivity is wrong anyway), and of channels."""
_AROUND = 250  # usual intervals on each side of an alarm
_LINES = 4
_LONG = 0.5  # of its own length is shown around a long alarm

_STYLE = """
:root{color-scheme:light}
body{font:14px/1.45 system-ui,sans-serif;color:#1b2733;background:#fff;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2.4rem 0 .3rem;border-bottom:1px solid #c9d3dc;padding-bottom:.2rem}
h3{font-size:1rem;margin:1.4rem 0 .1rem}p{margin:.2rem 0}.note{color:#4a5b6a}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
td,th{text-align:left;padding:.22rem .7rem .22rem 0;border-bottom:1px solid #e8edf1}
th{font-weight:600;color:#4a5b6a;vertical-align:bottom}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
svg{width:100%;height:auto;display:block}svg text{font:11px system-ui,sans-serif;fill:#4a5b6a}
.window{fill:#f2c14e;opacity:.32}.alarm{fill:#c0392b;opacity:.13}.band{fill:#2e8b57;opacity:.2}.grid{stroke:#e8edf1}.tick{stroke:#9aa8b5}
.value,.score{fill:none;stroke-width:1.2;stroke-linejoin:round}.v0{stroke:#1f5fa8}.v1{stroke:#8e44ad}.v2{stroke:#b9770e}.v3{stroke:#117a65}
svg [class^=n]{paint-order:stroke;stroke:#fff;stroke-width:3px}
svg .n0{fill:#1f5fa8}svg .n1{fill:#8e44ad}svg .n2{fill:#b9770e}svg .n3{fill:#117a65}
.score{stroke:#4a5b6a}.raised{stroke:#c0392b;stroke-width:1.4}.threshold{stroke:#c0392b;stroke-dasharray:4 3}
.key{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;color:#4a5b6a}
.key i{display:inline-block;width:1.6em;height:.8em;margin-right:.35em;vertical-align:-.05em}
section{break-inside:avoid}.hit{color:#1a7f4b}.false{color:#b42318}
"""
_KEY = """<div class="key"><span><i style="background:#1f5fa8;height:2px;vertical-align:.25em"></i>value</span>
<span><i style="background:#2e8b5733"></i>expected when the alarm was raised</span>
<span><i style="background:#c0392b22"></i>condition active</span><span><i style="background:#c0392b;width:2px"></i>alarm raised</span>
<span><i style="background:#f2c14e52"></i>labelled window</span>{score}</div>"""
_SCORE_KEY = """
<span><i style="background:#4a5b6a;height:2px;vertical-align:.25em"></i>score: -log10 of the probability in normal operation</span>"""


@dataclass(frozen=True)
class Run:
    """What one configuration made of the recording. `tags` are those that are recorded, `series` theirs by index."""

    name: str
    tags: tuple[Tag, ...]
    readings: Batch
    series: Mapping[int, Series]
    rows: Sequence[Row]
    alarms: Sequence[Alarm]
    scores: ScoreBook


def html(runs: Sequence[Run], windows: Sequence[Window] | None, zone: ZoneInfo, data: str) -> Iterator[str]:
    """The page in pieces; the first run is the one that was asked for, a second one what it is compared with."""
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    yield f"<title>Backtest of {escape(runs[0].name)}</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>Backtest of {escape(' against '.join(run.name for run in runs))}</h1>"
    t_ns = runs[0].readings.t_ns
    span = f"{_when(int(t_ns.min()), zone)} to {_when(int(t_ns.max()), zone)} ({zone.key})"
    yield f"<p>{escape(data)} · {escape(span)} · Lineside {__version__}</p>"
    yield _table(runs, labelled=windows is not None)
    yield _KEY.format(score=_SCORE_KEY if any(run.scores for run in runs) else "")
    for run in runs:
        yield from _run(run, windows or (), zone, labelled=windows is not None)
    yield "</body></html>\n"


def _table(runs: Sequence[Run], *, labelled: bool) -> str:
    names = "".join(f"<th{_number(i)}>{escape(name)}</th>" for i, name in enumerate(head(labelled)))
    lines = []
    for run in runs:
        if len(runs) > 1:
            lines.append(f'<tr><th colspan="{len(head(labelled))}">{escape(run.name)}</th></tr>')
        lines += [_line(cells(row, labelled)) for row in run.rows]
    return f"<table><tr>{names}</tr>{''.join(lines)}</table>"


def _line(texts: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td{_number(i)}>{escape(text)}</td>" for i, text in enumerate(texts)) + "</tr>"


def _number(column: int) -> str:
    return ' class="n"' if column > 1 else ""


def _run(run: Run, windows: Sequence[Window], zone: ZoneInfo, *, labelled: bool) -> Iterator[str]:
    yield f"<h2>{escape(run.name)}: the whole recording</h2>"
    shown = run.rows if len(run.rows) <= MOST_CHANNELS else [row for row in run.rows if row.alarms][:MOST_CHANNELS]
    if len(shown) < len(run.rows):
        yield f'<p class="note">{len(shown)} of {len(run.rows)} channels: those with alarms, {MOST_CHANNELS} at most.</p>'
    for row in shown:
        alarms = [alarm for alarm in run.alarms if alarm.watch == row.watch and row.concerns(alarm)]
        yield f"<section><h3>{escape(row.channel)} <span class='note'>{escape(row.watch)}, {_counted(alarms)}</span></h3>"
        yield svg(_overview(run, row, alarms, windows), zone) + "</section>"
    yield f"<h2>{escape(run.name)}: every alarm</h2>"
    if not run.alarms:
        yield "<p>There was none.</p>"
    if len(run.alarms) > MOST:
        yield f'<p class="note">The first {MOST} of {len(run.alarms)}.</p>'
    for alarm in run.alarms[:MOST]:
        yield f"<section><h3>{escape(alarm.title)}</h3>{_facts(alarm, windows, zone, labelled=labelled)}"
        yield svg(_close_up(run, alarm, windows), zone) + "</section>"


def _counted(alarms: Sequence[Alarm]) -> str:
    return f"{len(alarms)} alarm{'' if len(alarms) == 1 else 's'}"


def _facts(alarm: Alarm, windows: Sequence[Window], zone: ZoneInfo, *, labelled: bool) -> str:
    hit = any(one.concerns(alarm.machine, alarm.tags) and one.holds(alarm.raised_ns) for one in windows)
    verdict = f'<span class="{"hit" if hit else "false"}">{"in" if hit else "outside"} a labelled window</span>'
    until = f"cleared {_when(alarm.cleared_ns, zone)}" if alarm.cleared_ns else "open at the end"
    facts = [f"raised {_when(alarm.raised_ns, zone)}", until, escape(alarm.watch), *([verdict] if labelled else [])]
    return f'<p class="note">{" · ".join(facts)}</p>'


def _overview(run: Run, row: Row, alarms: Sequence[Alarm], windows: Sequence[Window]) -> Picture:
    begin, end = int(run.readings.t_ns.min()), int(run.readings.t_ns.max())
    tags = [tag for tag in run.tags if tag.machine == row.machine and tag.name in row.tags][:_LINES]
    return Picture(
        begin,
        end,
        [(tag.name, run.series[tag.index]) for tag in tags],
        _unit(tags),
        windows=_spans(windows, row.machine, (row.tag,) if row.tag else ()),
        alarms=[(alarm.since_ns, alarm.raised_ns, alarm.cleared_ns or end) for alarm in alarms],
        score=run.scores.series(row.watch, row.channel),
        title=f"{row.channel}, the whole recording",
    )


def _close_up(run: Run, alarm: Alarm, windows: Sequence[Window]) -> Picture:
    by_name = {tag.name: tag for tag in run.tags if tag.machine == alarm.machine}
    tags = [by_name[name] for name in alarm.tags if name in by_name][:_LINES]
    first, last = int(run.readings.t_ns.min()), int(run.readings.t_ns.max())
    ends = alarm.cleared_ns or last
    lines = [(tag.name, run.series[tag.index]) for tag in tags]
    usual = max((float(np.median(np.diff(t_ns))) for _, (t_ns, _) in lines if len(t_ns) > 1), default=1e9)
    around = int(max(_AROUND * usual, _LONG * (ends - alarm.since_ns)))
    beside = around // 8  # the band is that of one moment; nobody has said that it held the whole time
    channel = f"{alarm.machine}/{alarm.tags[0]}" if alarm.tags else alarm.machine
    score = run.scores.series(alarm.watch, channel) or run.scores.series(alarm.watch, alarm.machine)
    threshold, band = alarm.explanation.get("threshold"), _pair(alarm.explanation.get("band"))
    return Picture(
        max(first, alarm.since_ns - around),
        min(last, ends + around),
        lines,
        _unit(tags),
        band=(alarm.since_ns - beside, max(ends, alarm.since_ns + beside), *band) if band is not None else None,
        windows=_spans(windows, alarm.machine, alarm.tags),
        alarms=[(alarm.since_ns, alarm.raised_ns, ends)],
        score=score,
        threshold=float(threshold) if score is not None and isinstance(threshold, int | float) else None,
        title=alarm.title,
    )


def _pair(band: Json) -> tuple[float, float] | None:
    """What a detector calls `band` is its own business; a pair of numbers can be drawn."""
    if isinstance(band, list | tuple) and len(band) == 2 and all(isinstance(end, int | float) for end in band):
        return float(band[0]), float(band[1])
    return None


def _spans(windows: Sequence[Window], machine: str, tags: Sequence[str]) -> list[tuple[int, int]]:
    return [(one.from_ns, one.to_ns) for one in windows if one.concerns(machine, tags)]


def _unit(tags: Sequence[Tag]) -> str:
    return ", ".join(dict.fromkeys(tag.options.unit or tag.name for tag in tags))


def _when(t_ns: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(t_ns / 1e9, zone):%Y-%m-%d %H:%M:%S}"
