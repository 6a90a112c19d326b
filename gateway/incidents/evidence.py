"""Pre- and post-trigger evidence: a machine's readings around the beginning of an incident, within a cap of bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Clock, Json
from gateway.incidents.history import History, Series

_POINT_BYTES = 28  # JSON of one point, at most: offset and value with their commas
_TAG_BYTES = 24  # JSON around one tag: name not counted
_FRAME_BYTES = 64  # JSON around them all
_LEAST_POINTS = 8
_USEFUL_BYTES = 1024  # for one tag: less than some 30 points show no course
LEAST_BYTES = 1024
_MAX_TAGS = 12
_DIGITS = 6


class Budget:
    """Evidence per minute: a storm of incidents must neither fill the disk nor the uplink with curves.

    A minute's worth may be spent at once; then each incident gets what has come back since, at least `LEAST_BYTES`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.per_minute = 0.0
        self._spent, self._at = 0.0, clock.monotonic()

    def allow(self, wanted: int) -> int:
        """Bytes that may be used now."""
        now = self._clock.monotonic()
        self._spent = max(0.0, self._spent - (now - self._at) * self.per_minute / 60)
        self._at = now
        return min(wanted, max(LEAST_BYTES, int(self.per_minute - self._spent)))

    def spend(self, used: int) -> None:
        self._spent += used


def readings(
    history: History, machine: str, concerned: list[str], since_ns: int, until_ns: int, max_bytes: int
) -> tuple[dict[str, Json], int]:
    """``{"from_ns": .., "tags": {name: {"t": [seconds from from_ns], "v": [..]}}}``, and its size as JSON, at most `max_bytes`.

    The concerned tags first, then the machine's others; long series are thinned, keeping extremes of each piece.
    """
    known = history.names(machine)
    wanted = [name for name in concerned if name in known] + [name for name in known if name not in concerned]
    most_tags = min(_MAX_TAGS, max(1, max_bytes // _USEFUL_BYTES))
    found: dict[str, Series] = {}
    for name, series in history.series(machine, wanted, since_ns, until_ns):
        found[name] = series
        if len(found) == most_tags:
            break
    names = _affordable(list(found), max_bytes)
    if not names:
        return {}, 0
    most = _points(names, max_bytes)
    thinned = [thin(*found[name], most) for name in names]
    times = np.round((np.concatenate([t_ns for t_ns, _ in thinned]) - since_ns) / 1e9, 3).tolist()
    values = _plain(np.concatenate([value for _, value in thinned]))
    tags, at = {}, 0
    for name, (t_ns, _) in zip(names, thinned, strict=True):
        tags[name] = {"t": times[at : at + len(t_ns)], "v": values[at : at + len(t_ns)]}
        at += len(t_ns)
    return {"from_ns": since_ns, "tags": tags}, _frame(names) + at * _POINT_BYTES


def thin(t_ns: NDArray[np.int64], value: NDArray[np.float64], most: int) -> Series:
    """At most `most` points: of each equal piece its smallest and largest, in order of time, so that no peak is lost."""
    n = len(t_ns)
    if n <= most:
        return t_ns, value
    pieces = max(1, most // 2)
    width = -(-n // pieces)
    padded = np.full(pieces * width, np.nan)
    padded[:n] = value
    missing = np.isnan(padded)
    starts = np.arange(pieces) * width
    low = np.where(missing, np.inf, padded).reshape(pieces, width).argmin(axis=1) + starts
    high = np.where(missing, -np.inf, padded).reshape(pieces, width).argmax(axis=1) + starts
    kept = np.zeros(pieces * width, dtype=bool)
    kept[low] = kept[high] = True
    return t_ns[kept[:n]], value[kept[:n]]


def significant(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n] to six significant digits; NaN stays.

    >>> significant(np.array([71.23456789, -0.000123456789, 1234567.0, 0.0, 1.23456789e-30])).tolist()
    [71.2346, -0.000123457, 1234570.0, 0.0, 1.23457e-30]
    """
    size = np.abs(value)
    with np.errstate(divide="ignore", invalid="ignore"):
        places = _DIGITS - 1 - np.floor(np.log10(size))
    # Powers of ten up to 10^22 are exact in float64, so that the quotient is the nearest number to its decimal.
    exact = np.abs(places) <= 22
    places = np.where(exact, places, 0.0)
    up, down = 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)
    rounded = np.where(exact, np.round(np.where(exact, value, 0.0) * up / down) * down / up, value)
    for row in np.flatnonzero(~exact & np.isfinite(value) & (value != 0)):
        rounded[row] = float(f"{value[row]:.{_DIGITS}g}")
    return rounded


def _plain(value: NDArray[np.float64]) -> list[float | None]:
    numbers: list[float | None] = significant(value).tolist()
    for row in np.flatnonzero(np.isnan(value)):
        numbers[row] = None
    return numbers


def _affordable(names: list[str], max_bytes: int) -> list[str]:
    """The first of them, as many as get a few points each."""
    while names and _points(names, max_bytes) < _LEAST_POINTS:
        names = names[:-1]
    return names


def _points(names: list[str], max_bytes: int) -> int:
    """Points per tag that fit."""
    return (max_bytes - _frame(names)) // _POINT_BYTES // len(names)


def _frame(names: list[str]) -> int:
    """Bytes around the points, at most."""
    return _FRAME_BYTES + sum(len(name.encode()) + _TAG_BYTES for name in names)
