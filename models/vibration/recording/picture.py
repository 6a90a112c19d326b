"""Draws an examination as PNG: waveform, velocity spectrum, envelope spectrum with the lines looked for. Needs no library."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.vibration.diagnosis.lines import FAULTS, LINES, first_order
from models.vibration.recording.examine import Examination
from models.vibration.recording.letters import HEIGHT, WIDTH, pixels
from models.vibration.spectrum import zoomed

SIZE = (1200, 840)
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 20, 34, 30
_INK, _GRID, _TRACE, _MARK, _NAMED = (40, 40, 40), (222, 222, 222), (31, 90, 160), (170, 170, 170), (200, 40, 30)

Colour = tuple[int, int, int]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One curve. `marks`: (name, x, whether it is a line that was found)."""

    title: str
    x: Floats
    y: Floats
    unit: str
    marks: Sequence[tuple[str, float, bool]] = ()


def panels(found: Examination, unit: str, zoom: tuple[float, float] | None = None) -> list[Panel]:
    """The waveform's first half second, the velocity, a part of it as fine as the recording is long, and the envelope if there is one."""
    count = min(len(found.samples), int(found.asked.rate_hz / 2))
    seconds = np.arange(count) / found.asked.rate_hz
    drawn = [Panel("waveform", seconds, found.samples[:count].astype(np.float64), unit)]
    velocity = found.analysis.velocity
    shaft = [(peak.name, peak.hz, False) for peak in found.peaks if peak.name in ("1x", "2x", "3x", "mesh", "blade pass", "2x mains")]
    zone = f" mm/s, {found.analysis.rms:.3g} rms, zone {found.zone}" if found.zone else ""
    low = 0 if found.analysis.band is None else int(found.analysis.band[0] / velocity.hz_step)
    shown = np.where(np.arange(len(velocity.amplitude)) < low, np.float32(0), velocity.amplitude)
    drawn.append(Panel(f"velocity spectrum{zone}", *_curve(velocity.hz_step, shown), "mm/s", shaft))
    if zoom is not None:
        first, part = zoomed(velocity, *zoom)
        if len(part) > 1:
            x = first + velocity.hz_step * np.arange(len(part), dtype=np.float64)
            drawn.append(Panel(f"velocity from {zoom[0]:g} to {zoom[1]:g} Hz", x, part.astype(np.float64), "mm/s", shaft))
    if (envelope := found.analysis.envelope) is not None:
        drawn.append(Panel(f"envelope spectrum{_said(found)}", *_curve(envelope.hz_step, envelope.amplitude), "depth", _lines(found)))
    return drawn


def _said(found: Examination) -> str:
    if found.verdict is None:
        return ""
    return f": {found.verdict.fault.replace('_', ' ')}, {found.stage}" if found.verdict.fault else ": no damage shown"


def _lines(found: Examination) -> list[tuple[str, float, bool]]:
    if found.asked.orders is None or found.rpm is None:
        return []
    if found.verdict is not None and found.verdict.lines:
        return [(line.name, line.order * found.rpm / 60, True) for line in found.verdict.lines]
    return [(LINES[part], first_order(found.asked.orders, part) * found.rpm / 60, False) for part in FAULTS]


def _curve(step: float, amplitude: NDArray[np.float32]) -> tuple[Floats, Floats]:
    return np.arange(len(amplitude), dtype=np.float64) * np.float64(step), amplitude.astype(np.float64)


def png(drawn: Sequence[Panel], heading: str) -> bytes:
    """8-bit RGB (PNG 1.2, ISO/IEC 15948)."""
    canvas = np.full((SIZE[1], SIZE[0], 3), 255, dtype=np.uint8)
    _write(canvas, _LEFT, 8, heading, _INK)
    each = (SIZE[1] - _TOP) // len(drawn)
    for number, panel in enumerate(drawn):
        _panel(canvas, panel, _TOP + number * each, each)
    raw = np.concatenate([np.zeros((SIZE[1], 1), dtype=np.uint8), canvas.reshape(SIZE[1], -1)], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", *SIZE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(raw, 9)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _panel(canvas: NDArray[np.uint8], panel: Panel, top: int, height: int) -> None:
    upper, lower, right = top + 22, top + height - _BOTTOM, SIZE[0] - _RIGHT
    _write(canvas, _LEFT, top + 4, panel.title, _INK)
    low, high = min(0.0, float(panel.y.min())), max(float(panel.y.max()), 1e-9)
    begin = float(panel.x[0])
    last = max(float(panel.x[-1]), begin + 1e-9)
    for value in _ticks(low, high, 4):
        y = round(lower - (value - low) / (high - low) * (lower - upper))
        canvas[y, _LEFT:right] = _GRID
        _write(canvas, 6, y - HEIGHT // 2, f"{value:.3g}", _INK)
    for value in _ticks(begin, last, 10):
        x = round(_LEFT + (value - begin) / (last - begin) * (right - _LEFT - 1))
        canvas[upper:lower, x] = _GRID
        _write(canvas, x - WIDTH, lower + 6, f"{value:.4g}", _INK)
    _marks(canvas, panel, upper, lower)
    columns = ((panel.x - begin) / (last - begin) * (right - _LEFT - 1)).astype(np.intp)
    rows = np.rint(lower - (panel.y - low) / (high - low) * (lower - upper)).astype(np.intp)
    _trace(canvas, columns + _LEFT, rows)
    _write(canvas, right - len(panel.unit) * WIDTH, top + 4, panel.unit, _INK)


def _marks(canvas: NDArray[np.uint8], panel: Panel, upper: int, lower: int) -> None:
    begin, last = float(panel.x[0]), float(panel.x[-1])
    taken: list[tuple[int, int]] = []
    for name, at, named in panel.marks:
        if not begin <= at <= last:
            continue
        x = round(_LEFT + (at - begin) / (last - begin) * (SIZE[0] - _RIGHT - _LEFT - 1))
        colour = _NAMED if named else _MARK
        canvas[upper:lower:2, x] = colour
        row = next(
            r for r in range(len(panel.marks) + 1) if all(r != other or abs(x - left) > WIDTH * (len(name) + 2) for left, other in taken)
        )
        taken.append((x, row))
        _write(canvas, x + 3, upper + 2 + row * (HEIGHT + 3), name, colour)


def _trace(canvas: NDArray[np.uint8], columns: NDArray[np.intp], rows: NDArray[np.intp]) -> None:
    """Each step from one point to the next, across as well as up and down."""
    for x0, x1, y0, y1 in zip(columns[:-1].tolist(), columns[1:].tolist(), rows[:-1].tolist(), rows[1:].tolist(), strict=True):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(steps + 1):
            canvas[y0 + (y1 - y0) * step // steps, x0 + (x1 - x0) * step // steps] = _TRACE


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round values, about so many.

    >>> _ticks(0.0, 1000.0, 4), _ticks(-0.3, 0.7, 4)
    ([0.0, 200.0, 400.0, 600.0, 800.0, 1000.0], [-0.2, 0.0, 0.2, 0.4, 0.6])
    """
    rough = (high - low) / count
    power = 10.0 ** np.floor(np.log10(rough))
    step = float(min((1.0, 2.0, 5.0, 10.0), key=lambda one: abs(one * power - rough)) * power)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [round(number * step, 12) + 0.0 for number in range(first, last + 1)]


def _write(canvas: NDArray[np.uint8], x: int, y: int, text: str, colour: Colour) -> None:
    """What does not fit is cut off."""
    found = pixels(text)
    height, width = min(found.shape[0], canvas.shape[0] - y), min(found.shape[1], canvas.shape[1] - max(x, 0))
    if y < 0 or height <= 0 or width <= 0:
        return
    part = canvas[y : y + height, max(x, 0) : max(x, 0) + width]
    part[found[:height, :width]] = colour
