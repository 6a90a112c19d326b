"""Fixed limits with hysteresis, vectorised over all tags of the watch."""

from __future__ import annotations

import io
from typing import Any, ClassVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Batch, DetectorContext, Finding, Frame, Json, Record, Severity, State, StateError, Waveform
from models.limit.config import LimitOptions
from models.limit.levels import UNKNOWN, levels, rates
from models.limit.words import title

_VERSION = 1


class Limit:
    """Level of each tag against its limits: 0 inside, 1 beyond the limit, 2 beyond the second limit.

    batch      good readings, engineering units
    returns    one Finding per reading that changes a level; ACTIVE with WARNING or CRITICAL, OVER when back inside
               by `hysteresis`; the first reading of each tag always tells its level
    score      how far beyond the limit, in engineering units (rate: units per second)
    state      three levels, the time they began, last value and time, per tag
    """

    takes: ClassVar[frozenset[type]] = frozenset({Batch})

    def __init__(self, options: LimitOptions, context: DetectorContext) -> None:
        self._options, self._tags = options, context.tags
        self._row = np.full(max((tag.index for tag in context.tags), default=0) + 1, -1, dtype=np.int32)
        self._row[[tag.index for tag in context.tags]] = np.arange(len(context.tags), dtype=np.int32)
        n = len(context.tags)
        self._level = {side: np.full(n, UNKNOWN, dtype=np.int8) for side in options.sides}
        self._since = {side: np.zeros(n, dtype=np.int64) for side in options.sides}
        self._told = {side: np.zeros(n, dtype=bool) for side in options.sides}
        self._last = np.full(n, np.nan)
        self._last_t = np.zeros(n, dtype=np.int64)
        self._heard = np.zeros(n, dtype=bool)

    def limits(self) -> dict[str, list[Json]]:
        """For the page: ``{"machine/tag": [{"name": "high", "value": 70.0}]}``, each side's nearer limit first."""
        given = [(name, getattr(self._options, name)) for name in ("high", "high_high", "low", "low_low")]
        told: list[Json] = [{"name": name, "value": value} for name, value in given if value is not None]
        return {tag.path: told for tag in self._tags}

    def process(self, item: Batch | Frame | Waveform | Record) -> list[Finding]:
        assert isinstance(item, Batch)  # noqa: S101  `takes` says so
        row = self._row[item.tag]
        found: list[Finding] = []
        ascending = len(row) <= 1 or bool((row[1:] > row[:-1]).all())  # as most polls are
        if not ascending and len(set(row.tolist())) < len(row):
            for piece in _pieces(row):
                found += self._round(row[piece], item.t_ns[piece], item.value[piece])
            found.sort(key=lambda finding: finding.t_ns)
            return found
        return self._round(row, item.t_ns, item.value)

    def _round(self, row: NDArray[np.int32], t_ns: NDArray[np.int64], value: NDArray[np.float64]) -> list[Finding]:
        """Each tag at most once. Late and repeated readings are left out, but for what is repeated first after a start: a source that tells
        only changes has nothing else to tell, and the limits may be others now.
        """
        fresh = (t_ns > self._last_t[row]) | ((t_ns == self._last_t[row]) & ~self._heard[row])
        if not fresh.all():
            row, t_ns, value = row[fresh], t_ns[fresh], value[fresh]
        found: list[Finding] = []
        o = self._options
        for side in self._level:
            if side == "rate":
                measure = rates(value - self._last[row], t_ns - self._last_t[row])
                measure[t_ns == self._last_t[row]] = np.nan
                new = levels(measure, self._level[side][row], o.rate, None, 0.0)
                new[np.isnan(measure)] = self._level[side][row][np.isnan(measure)]
            elif side == "high":
                new = levels(value, self._level[side][row], o.high, o.high_high, o.hysteresis)
                measure = value
            else:
                new = levels(-value, self._level[side][row], _minus(o.low), _minus(o.low_low), o.hysteresis)
                measure = value
            # After a start the first opinion is told even if nothing changed: an incident may have stayed open.
            known = (new != UNKNOWN) & ~np.isnan(measure)
            for i in np.flatnonzero(((new != self._level[side][row]) | ~self._told[side][row]) & known):
                found.append(self._changed(side, int(row[i]), int(new[i]), int(t_ns[i]), float(measure[i])))  # noqa: PERF401
            self._told[side][row] |= known
            self._level[side][row] = new
        self._last[row] = value
        self._last_t[row] = t_ns
        self._heard[row] = True
        return found

    def _changed(self, side: str, row: int, level: int, t_ns: int, value: float) -> Finding:
        tag = self._tags[row]
        if level <= 0 or self._level[side][row] <= 0:
            self._since[side][row] = t_ns
        limit_name, limit = self._limit(side, max(level, 1))
        return Finding(
            machine=tag.machine,
            condition=f"{tag.name}_{side}",
            state=State.ACTIVE if level > 0 else State.OVER,
            t_ns=t_ns,
            since_ns=int(self._since[side][row]),
            severity=Severity.CRITICAL if level == 2 else Severity.WARNING,
            title=title(tag, side, level, value, limit),
            score=abs(value - limit) if side != "rate" else abs(value) - limit,
            tags=(tag.name,),
            explanation={
                "value": value,
                "limit": limit,
                "limit_name": limit_name,
                "unit": tag.options.unit + ("/s" if side == "rate" else ""),
                "hysteresis": self._options.hysteresis,
            },
        )

    def _limit(self, side: str, level: int) -> tuple[str, float]:
        """The limit that was crossed; a watch with only a second limit has no first."""
        names = {"high": ("high", "high_high"), "low": ("low", "low_low"), "rate": ("rate", "rate")}[side]
        for name in (names[level - 1], names[0], names[1]):
            limit = getattr(self._options, name)
            if limit is not None:
                return name, float(limit)
        raise AssertionError(side)

    def leap(self, machine: str, delta_ns: int) -> None:
        mine = np.array([tag.machine == machine for tag in self._tags])
        for times in (self._last_t, *self._since.values()):
            times[mine & (times > 0)] += delta_ns

    def dump(self) -> bytes:
        out = io.BytesIO()
        paths = np.array([tag.path for tag in self._tags], dtype=np.str_)
        np.savez(out, version=_VERSION, paths=paths, **self._columns())  # type: ignore[arg-type]
        return out.getvalue()

    def load(self, state: bytes) -> None:
        columns = self._columns()
        saved = _read(state)
        old = {str(path): i for i, path in enumerate(saved["paths"])}
        both = [name for name in columns if name in saved]  # a side that the options did not have is not in it
        if not {"last", "last_t"} <= set(both) or any(f"since_{side}" not in both for side in self._level if f"level_{side}" in both):
            raise StateError("state is damaged: a column is missing")
        for name in both:
            if saved[name].dtype != columns[name].dtype or saved[name].shape != (len(old),):
                raise StateError(f"state is damaged: {name} is of another type or length")
        here = [row for row, tag in enumerate(self._tags) if tag.path in old]
        there = [old[self._tags[row].path] for row in here]
        for name in both:
            columns[name][here] = saved[name][there]

    def _columns(self) -> dict[str, NDArray[Any]]:
        """The state, by name; not a copy."""
        level = {f"level_{side}": column for side, column in self._level.items()}
        return {"last": self._last, "last_t": self._last_t, **level, **{f"since_{side}": column for side, column in self._since.items()}}


def _read(state: bytes) -> dict[str, NDArray[Any]]:
    try:
        with np.load(io.BytesIO(state), allow_pickle=False) as saved:
            columns = {name: saved[name] for name in saved.files}
            version, _ = int(columns.pop("version")), columns["paths"]
    except (ValueError, OSError, KeyError, EOFError, TypeError, AttributeError, BadZipFile) as exc:
        raise StateError(f"state cannot be read: {exc}") from exc
    if version != _VERSION:
        raise StateError(f"state is of version {version}")
    return columns


def _minus(limit: float | None) -> float | None:
    return None if limit is None else -limit


def _pieces(row: NDArray[np.int32]) -> list[NDArray[np.intp]]:
    """Positions split so that each piece holds a tag at most once, order kept."""
    order = np.argsort(row, kind="stable")
    ordered = row[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    nth = np.empty(len(row), dtype=np.intp)
    nth[order] = np.arange(len(row)) - np.repeat(first, np.diff(np.r_[first, len(row)]))
    return list(np.split(np.argsort(nth, kind="stable"), np.cumsum(np.bincount(nth))[:-1]))
