"""One picture: values over time, the band they were expected in, labelled windows, the alarm, and the score below. SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from zoneinfo import ZoneInfo

import numpy as np

from gateway.backtest import axes
from gateway.backtest.recording import Series

WIDTH, LEFT, RIGHT = 920, 66, 10
HEIGHT, SCORE_HEIGHT, TOP, GAP, BOTTOM = 170, 56, 8, 12, 22
_PIECES = 420
_HOLE = 20.0  # usual intervals without a reading interrupt the line


@dataclass(frozen=True)
class Picture:
    """What is to be seen from `begin_ns` to `end_ns`.

    lines      values by tag
    band       (from, to, low, high): where the value was expected when the alarm was raised
    windows    labelled ones
    alarms     (since, raised, cleared)
    score      and the threshold it is compared with, if the detector tells it
    """

    begin_ns: int
    end_ns: int
    lines: Sequence[tuple[str, Series]]
    unit: str = ""
    band: tuple[int, int, float, float] | None = None
    windows: Sequence[tuple[int, int]] = ()
    alarms: Sequence[tuple[int, int, int]] = ()
    score: Series | None = None
    threshold: float | None = None
    title: str = field(default="", kw_only=True)


def svg(picture: Picture, zone: ZoneInfo) -> str:
    """Without anything from outside; the colours are the page's classes."""
    return "".join(_parts(picture, zone))


def _parts(picture: Picture, zone: ZoneInfo) -> Iterator[str]:
    score_top = TOP + HEIGHT + GAP
    bottom = score_top + SCORE_HEIGHT if picture.score is not None else TOP + HEIGHT
    label = escape(picture.title, quote=True)
    yield f'<svg viewBox="0 0 {WIDTH} {bottom + BOTTOM}" role="img" aria-label="{label}">'
    panel = _Panel(picture, TOP, HEIGHT, *_span(picture))
    alone = len(picture.lines) == 1
    yield from panel.grid(picture.unit) if alone else ()
    for from_ns, to_ns in picture.windows:
        yield panel.rect("window", from_ns, to_ns, TOP, bottom)
    for since, _, cleared in picture.alarms:
        yield panel.rect("alarm", since, cleared, TOP, bottom)
    if picture.band is not None and alone:
        from_ns, to_ns, low, high = picture.band
        yield panel.rect("band", from_ns, to_ns, panel.y(high), panel.y(low))
    for number, (name, series) in enumerate(picture.lines):
        own = panel if alone else _Panel(picture, TOP, HEIGHT, *_span(replace(picture, lines=[(name, series)], band=None)))
        yield own.line(f"value v{number % 4}", series)
    yield from _names(picture) if not alone else ()
    for _, raised, _ in picture.alarms:
        yield f'<line class="raised" x1="{panel.x(raised):.1f}" x2="{panel.x(raised):.1f}" y1="{TOP}" y2="{bottom}"/>'
    if picture.score is not None:
        yield from _score(picture, score_top)
    yield from _time_axis(panel, picture, zone, bottom)
    yield "</svg>"


def _names(picture: Picture) -> Iterator[str]:
    """Several tags have a scale each, from their lowest to their highest value, so names instead of numbers."""
    for number, (name, _) in enumerate(picture.lines):
        yield f'<text class="n{number % 4}" x="{LEFT + 6}" y="{TOP + 12 + 14 * number}">{escape(name)}</text>'


def _score(picture: Picture, top: float) -> Iterator[str]:
    assert picture.score is not None  # noqa: S101  the caller has looked
    t_ns, score = picture.score
    inside = score[(t_ns >= picture.begin_ns) & (t_ns <= picture.end_ns)]
    highest = max(1.0, float(inside.max()) if len(inside) else 1.0, 1.15 * (picture.threshold or 0.0))
    panel = _Panel(picture, top, SCORE_HEIGHT, 0.0, highest)
    yield from panel.grid("score", 2)
    if picture.threshold is not None:
        at = panel.y(picture.threshold)
        yield f'<line class="threshold" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
    yield panel.line("score", (t_ns, score))


def _time_axis(panel: _Panel, picture: Picture, zone: ZoneInfo, bottom: float) -> Iterator[str]:
    for t_ns, text in axes.times(picture.begin_ns, picture.end_ns, zone):
        x = panel.x(t_ns)
        yield f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
        anchor = "start" if x < LEFT + 40 else "end" if x > WIDTH - 40 else "middle"
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="{anchor}">{text}</text>'


def _span(picture: Picture) -> tuple[float, float]:
    """Of the values that are seen, and of the band as far as it does not squeeze them."""
    seen = [value[(t_ns >= picture.begin_ns) & (t_ns <= picture.end_ns) & np.isfinite(value)] for _, (t_ns, value) in picture.lines]
    together = np.concatenate(seen) if seen else np.empty(0)
    if not len(together):
        return 0.0, 1.0
    low, high = float(together.min()), float(together.max())
    width = high - low
    if picture.band is not None:
        low, high = max(min(low, picture.band[2]), low - width), min(max(high, picture.band[3]), high + width)
    margin = 0.06 * (high - low) or max(abs(high) * 0.05, 0.5)
    return low - margin, high + margin


@dataclass(frozen=True)
class _Panel:
    """A rectangle of the picture with its own scale."""

    picture: Picture
    top: float
    height: float
    low: float
    high: float

    def x(self, t_ns: int) -> float:
        share = (t_ns - self.picture.begin_ns) / max(1, self.picture.end_ns - self.picture.begin_ns)
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(share, 0.0), 1.0)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.top + self.height * (1.0 - min(max(share, 0.0), 1.0))

    def rect(self, name: str, from_ns: int, to_ns: int, top: float, bottom: float) -> str:
        if to_ns < self.picture.begin_ns or from_ns > self.picture.end_ns:
            return ""
        x = self.x(from_ns)
        return f'<rect class="{name}" x="{x:.1f}" y="{top:.1f}" width="{max(1.0, self.x(to_ns) - x):.1f}" height="{bottom - top:.1f}"/>'

    def grid(self, unit: str, count: int = 4) -> Iterator[str]:
        marks = axes.values(self.low, self.high, count)
        step = marks[1] - marks[0] if len(marks) > 1 else 0.0
        for mark in marks:
            y = self.y(mark)
            yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{axes.number(mark, step)}</text>'
        middle = self.top + self.height / 2
        yield f'<text class="unit" transform="translate(12 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(unit)}</text>'

    def line(self, name: str, series: Series) -> str:
        t_ns, value = series
        inside = (t_ns >= self.picture.begin_ns) & (t_ns <= self.picture.end_ns)
        t_ns, value = axes.thinned(t_ns[inside], value[inside], self.picture.begin_ns, self.picture.end_ns, _PIECES)
        if not len(t_ns):
            return ""
        usual = float(np.median(np.diff(t_ns))) if len(t_ns) > 1 else 0.0
        breaks = np.append(True, np.diff(t_ns) > _HOLE * usual) if len(t_ns) > 1 else np.array([True])
        points = zip(t_ns.tolist(), value.tolist(), breaks.tolist(), strict=True)
        path = "".join(f"{'M' if begins else 'L'}{self.x(at):.1f} {self.y(one):.1f}" for at, one, begins in points)
        return f'<path class="{name}" d="{path}"/>'
