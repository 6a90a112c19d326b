"""The evidence as one small picture (SVG) for whoever shows a case and plots nothing itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from gateway.contract import Json

_WIDTH, _HEIGHT, _TOP, _LEFT = 640, 120, 18, 6
_COLUMNS = 320
MOST_BYTES = 12_288


def svg(evidence: Mapping[str, Json], title: str) -> str:
    """Waveform, envelope spectrum with its lines, and trend: what there is of them, below each other.

    At most MOST_BYTES: of neighbouring values the largest is kept, or both ends of a waveform.
    """
    panels = [panel for name, draw in _PANELS for panel in draw(evidence.get(name))]
    height = len(panels) * (_HEIGHT + _TOP) + _TOP
    body = "".join(f'<g transform="translate(0 {_TOP + i * (_HEIGHT + _TOP)})">{panel}</g>' for i, panel in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="#fff"/><text x="{_LEFT}" y="13" font-weight="bold">{escape(title)}</text>{body}</svg>'
    )


def _waveform(given: Json) -> Iterator[str]:
    if given:
        seconds = given["step_seconds"] * len(given["values"])
        yield _curve(given["values"], f"waveform, {seconds * 1000:.3g} ms, {given['unit']}", pairs=True)


def _spectrum(given: Json) -> Iterator[str]:
    if given:
        until = given["hz_start"] + given["hz_step"] * (len(given["amplitudes"]) - 1)
        yield _curve(given["amplitudes"], f"envelope spectrum to {until:.4g} Hz", low=0.0) + "".join(_marks(given["lines"], until))


def _trend(given: Json) -> Iterator[str]:
    if given and len(given["v"]) > 1:
        yield _curve(given["v"], f"velocity in {given['unit']}, the last {len(given['v'])} blocks in {_span(given['t'][-1])}", low=0.0)


_PANELS = (("waveform", _waveform), ("envelope_spectrum", _spectrum), ("velocity_trend", _trend))


def _span(seconds: float) -> str:
    """
    >>> _span(90.0), _span(7200.0), _span(300_000.0)
    ('90 s', '2 h', '3.47 days')
    """
    for unit, size in (("days", 86_400), ("h", 3600)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _marks(lines: Sequence[Mapping[str, Json]], until: float) -> Iterator[str]:
    for i, line in enumerate(lines):
        if 0 < line["hz"] <= until:
            x, y = _LEFT + (_WIDTH - 2 * _LEFT) * line["hz"] / until, 22 + 11 * (i % 3)
            yield f'<path d="M{x:.0f} {y}V{_HEIGHT}" stroke="#c8281e" stroke-dasharray="2 3"/>'
            yield f'<text x="{x + 2:.0f}" y="{y}" fill="#c8281e">{escape(str(line["name"]))}</text>'


def _curve(values: Sequence[float], title: str, *, low: float | None = None, pairs: bool = False) -> str:
    shown = _both_ends(values) if pairs else _largest(values)
    bottom, top = min(shown) if low is None else low, max(shown)
    span, across = top - bottom or 1.0, (_WIDTH - 2 * _LEFT) / max(1, len(shown) - 1)
    points = " ".join(f"{_LEFT + i * across:.0f},{_HEIGHT - (value - bottom) / span * (_HEIGHT - 16):.0f}" for i, value in enumerate(shown))
    return (
        f'<path d="M{_LEFT} {_HEIGHT}H{_WIDTH - _LEFT}" stroke="#bbb"/><polyline points="{points}" fill="none" stroke="#1f5aa0"/>'
        f'<text x="{_LEFT}" y="10" fill="#444">{escape(title)}, up to {top:.3g}</text>'
    )


def _both_ends(values: Sequence[float]) -> list[float]:
    together = 2 * -(-len(values) // _COLUMNS)
    pieces = [values[i : i + together] for i in range(0, len(values), together)]
    return [end for piece in pieces for end in (min(piece), max(piece))]


def _largest(values: Sequence[float]) -> list[float]:
    together = -(-len(values) // _COLUMNS)
    return [max(values[i : i + together]) for i in range(0, len(values), together)]
