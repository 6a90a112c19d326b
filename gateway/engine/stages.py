"""What happens to every reading before a detector sees it: pure functions on columns.

Order: time, scale, finite, range, step, stuck, deadband. A stage marks (quality and NaN) or, the last one only, leaves out.
No value is invented, and no time but by rule: `clock: gateway` replaces an implausible one, marked as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.contract import BAD, GOOD, Batch, Quality, Tag, Waveform
from gateway.engine.setback import Behind

EARLIEST_NS = 1_420_070_400_000_000_000  # 2015-01-01: before that, no clock of a plant that runs today was right
AHEAD_NS = 3_600_000_000_000  # a source may be an hour ahead of us, not more

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


_BESIDE_NS = 60_000_000_000


@dataclass(slots=True)
class Table:
    """The tag table as columns, and what the stages remember of each tag. All arrays are [number of tags]."""

    scale: Floats
    offset: Floats
    low: Floats
    high: Floats
    deadband: Floats
    heartbeat_ns: NDArray[np.int64]
    stuck_ns: NDArray[np.int64]
    max_step: Floats
    has_scale: bool = False
    has_range: bool = False
    has_deadband: bool = False
    has_step: bool = False
    has_stuck: bool = False
    earliest_ns: int = EARLIEST_NS
    """No time before it is plausible."""
    ahead_ns: int = AHEAD_NS
    """How far ahead of the gateway's clock a source's may be."""
    doubt_from_ns: int = 0
    """Since when the gateway's own clock is not trusted, by that clock; 0: it is."""
    gateway_time: Flags | None = None
    """Tags of sources whose implausible times are replaced by ours; None: of none."""
    last_value: Floats = field(init=False)
    last_t_ns: NDArray[np.int64] = field(init=False)
    last_quality: NDArray[np.uint8] = field(init=False)
    believed_value: Floats = field(init=False)
    doubted_value: Floats = field(init=False)
    """The last reading that was out of reach of the believed one; NaN: none is in doubt."""
    passed_value: Floats = field(init=False)
    passed_t_ns: NDArray[np.int64] = field(init=False)
    moved_value: Floats = field(init=False)
    moved_t_ns: NDArray[np.int64] = field(init=False)
    seen_t_ns: NDArray[np.int64] = field(init=False)
    """The newest plausible time of each tag."""
    unleapt_ns: NDArray[np.int64] = field(init=False)
    """By how much a clock leapt since the tag's last reading; 0: it is known whether its times leapt too, see `_leap`."""
    leaping: bool = False
    """Of some tag it is not."""
    behind: Behind = field(init=False)
    followed: list[int] = field(default_factory=list)
    """Tags whose times were seen to leap with a clock; whoever has told the watches empties it."""

    def __post_init__(self) -> None:
        n = len(self.scale)
        self.last_value, self.passed_value, self.moved_value = (np.full(n, np.nan) for _ in range(3))
        self.believed_value, self.doubted_value = (np.full(n, np.nan) for _ in range(2))
        self.last_t_ns, self.passed_t_ns, self.moved_t_ns, self.seen_t_ns, self.unleapt_ns = (np.zeros(n, np.int64) for _ in range(5))
        self.last_quality, self.behind = np.full(n, BAD, np.uint8), Behind(n)

    def beside(self, index: int, t_ns: int) -> float | None:
        """The last value of a tag, for a block of fast samples of this time: if it is good and within a minute."""
        fresh = abs(t_ns - int(self.last_t_ns[index])) <= _BESIDE_NS
        return float(self.last_value[index]) if fresh and self.last_quality[index] < BAD else None

    def plausible(self, t_ns: int, now_ns: int) -> bool:
        """A clock of today may show this."""
        return self.earliest_ns <= t_ns <= now_ns + self.ahead_ns

    def heard(self, block: Waveform, now_ns: int) -> None:
        """A block of fast samples, which no stage sees."""
        if not self.plausible(block.t_ns, now_ns):
            return
        tag, t_ns = np.array([block.tag], dtype=np.int32), np.array([block.t_ns])
        if block.t_ns < self.seen_t_ns[block.tag]:
            self.behind.late(tag, t_ns, now_ns)
            return
        self.seen_t_ns[tag] = t_ns
        if self.behind.any:
            self.behind.in_time(tag)

    def leap(self, delta_ns: int) -> None:
        """The gateway's clock was put right by so much. A tag that is silent will show all its leaps at once."""
        self.behind.clear()
        self._ask(np.arange(len(self.last_t_ns)), delta_ns)

    def set_back(self, tags: Sequence[int], evident: Sequence[int]) -> int:
        """The clock of the source of these tags was: by how much, below 0. Of some it is `evident`, the others are asked; and not any more
        whether they follow a leap of the gateway's clock, as this one is their own.
        """
        own, late = np.array(tags, dtype=np.int32), np.array(evident, dtype=np.int32)
        by_ns = self.behind.first_ns[late] - self.seen_t_ns[late]
        delta_ns = int(by_ns.min())
        self.unleapt_ns[own] = 0
        self._ask(np.setdiff1d(own, late), delta_ns)
        self._shift(late, by_ns)
        self.followed += late.tolist()
        self.behind.in_time(late)
        return delta_ns

    def _ask(self, tags: NDArray[Any], delta_ns: int) -> None:
        """The next reading of each shows whether it went along."""
        self.unleapt_ns[tags] += np.where(self.last_t_ns[tags] > 0, delta_ns, 0)
        self.leaping = bool(self.unleapt_ns.any())

    def _shift(self, tags: NDArray[Any], by_ns: NDArray[np.int64]) -> None:
        for column in (self.last_t_ns, self.passed_t_ns, self.moved_t_ns, self.seen_t_ns):
            column[tags] += np.where(column[tags] > 0, by_ns, 0)

    @staticmethod
    def of(tags: tuple[Tag, ...]) -> Table:
        """Compile the tags' options once."""
        options = [tag.options for tag in tags]
        ranges = [o.range or (-np.inf, np.inf) for o in options]
        table = Table(
            scale=np.array([o.scale for o in options], dtype=np.float64),
            offset=np.array([o.offset for o in options], dtype=np.float64),
            low=np.array([r[0] for r in ranges], dtype=np.float64),
            high=np.array([r[1] for r in ranges], dtype=np.float64),
            deadband=np.array([o.deadband for o in options], dtype=np.float64),
            heartbeat_ns=np.array([o.heartbeat * 1e9 for o in options]).astype(np.int64),
            stuck_ns=np.array([(o.stuck_after or 0.0) * 1e9 for o in options]).astype(np.int64),
            max_step=np.array([np.inf if o.max_step is None else o.max_step for o in options], dtype=np.float64),
        )
        table.has_scale = bool(((table.scale != 1) | (table.offset != 0)).any())
        table.has_range = bool((np.isfinite(table.low) | np.isfinite(table.high)).any())
        table.has_deadband = bool((table.deadband > 0).any())
        table.has_step = bool(np.isfinite(table.max_step).any())
        table.has_stuck = bool((table.stuck_ns > 0).any())
        return table

    def adopt(self, old: Table) -> None:
        """After a reload: tags keep their index, so what was remembered of them stays."""
        n = min(len(old.scale), len(self.scale))
        self.ahead_ns, self.doubt_from_ns, self.leaping = old.ahead_ns, old.doubt_from_ns, old.leaping
        for name in _REMEMBERED:
            getattr(self, name)[:n] = getattr(old, name)[:n]
        self.behind.adopt(old.behind, n)


_REMEMBERED = (
    "last_value", "last_t_ns", "last_quality", "believed_value", "doubted_value",
    "passed_value", "passed_t_ns", "moved_value", "moved_t_ns", "seen_t_ns", "unleapt_ns",
)  # fmt: skip


def run(batch: Batch, table: Table, now_ns: int) -> tuple[Batch, Batch]:
    """(all readings in engineering units, those that go on to detectors).

    The first part is what the page, the evidence and detectors of sensors see; the second has only good readings that moved or are due.
    """
    value, quality = batch.value, batch.quality.copy()
    t_ns = _times(batch, quality, table, now_ns)
    if table.has_scale:
        with np.errstate(over="ignore", invalid="ignore"):
            value = value * table.scale[batch.tag] + table.offset[batch.tag]
    _mark(quality, ~np.isfinite(value), Quality.BAD_NOT_FINITE)
    if table.has_range:
        with np.errstate(invalid="ignore"):
            _mark(quality, (value < table.low[batch.tag]) | (value > table.high[batch.tag]), Quality.BAD_RANGE)
    if table.has_step:
        # What comes late is no neighbour of what came last.
        sound = np.flatnonzero(((quality < Quality.LATE) | (quality == Quality.CLOCK)) & np.isfinite(table.max_step[batch.tag]))
        quality[sound[doubtful(batch.tag[sound], value[sound], table)]] = Quality.BAD_SPIKE
    if table.has_stuck:
        sound = np.flatnonzero(quality < BAD)
        quality[sound[stuck(batch.tag[sound], t_ns[sound], value[sound], table)]] = Quality.BAD_STUCK
    bad = quality >= BAD
    if bad.any():
        value = np.where(bad, np.nan, value)
    everything = Batch(batch.tag, t_ns, value, quality)
    _remember(everything, table)
    passed = everything.select(~bad) if bad.any() else everything
    return everything, deadband(passed, table) if table.has_deadband else passed


def _mark(quality: NDArray[np.uint8], where: Flags, reason: Quality) -> None:
    """The first reason stays: what is bad already keeps its cause."""
    quality[where & (quality < BAD)] = reason


def _times(batch: Batch, quality: NDArray[np.uint8], table: Table, now_ns: int) -> NDArray[np.int64]:
    """The times to go on with. An implausible one is bad, or by rule ours and marked so; one older than its tag's newest is late."""
    t_ns, tag = batch.t_ns, batch.tag
    wrong = (t_ns < table.earliest_ns) | (t_ns > now_ns + table.ahead_ns)
    if wrong.any():
        if table.gateway_time is not None and (ours := wrong & table.gateway_time[tag]).any():
            t_ns = np.where(ours, now_ns, t_ns)
            quality[ours & (quality < Quality.GATEWAY_TIME)] = Quality.GATEWAY_TIME
            wrong = wrong & ~ours
        _mark(quality, wrong, Quality.BAD_TIME)
        t_plausible, tag = t_ns[~wrong], tag[~wrong]
    else:
        t_plausible = t_ns
    if table.leaping:
        _leap(tag, t_plausible, table)
    newest = table.seen_t_ns[tag]
    late = t_plausible < newest
    if late.any():
        table.behind.late(tag[late], t_plausible[late], now_ns)
        table.behind.in_time(tag[~late])
        quality[(t_ns < table.seen_t_ns[batch.tag]) & ~wrong & (quality == GOOD)] = Quality.LATE
        table.seen_t_ns[tag] = np.maximum(t_plausible, newest)
    else:
        table.seen_t_ns[tag] = t_plausible
        if table.behind.any:
            table.behind.in_time(tag)
    if table.doubt_from_ns:
        quality[(quality == GOOD) & (t_ns >= table.doubt_from_ns) & (t_ns <= now_ns)] = Quality.CLOCK
    return t_ns


def leapt(t_ns: int, last_ns: int, delta_ns: int) -> bool:
    """A clock leapt between two times of one source: whether the source goes by that clock. The shorter way is the likely one.

    >>> leapt(1_000_007, 5, 1_000_000), leapt(7, 5, 1_000_000)
    (True, False)
    """
    return abs(t_ns - last_ns - delta_ns) < abs(t_ns - last_ns)


def _leap(tag: NDArray[np.int32], t_ns: NDArray[np.int64], table: Table) -> None:
    """What is remembered of tags that go by the clock that leapt goes with it, so that nothing seems late, stuck or due by the leap."""
    asked = np.flatnonzero(table.unleapt_ns[tag])
    if not len(asked):  # one that is silent for long costs the others nothing
        return
    tag, first = np.unique(tag[asked], return_index=True)
    since, delta = t_ns[asked[first]] - table.last_t_ns[tag], table.unleapt_ns[tag]
    went = np.abs(since - delta) < np.abs(since)
    along, by = tag[went], delta[went]
    table._shift(along, by)
    table.followed += along.tolist()
    table.unleapt_ns[tag] = 0
    table.leaping = bool(table.unleapt_ns.any())


def _remember(batch: Batch, table: Table) -> None:
    """What came last, which is not what came late."""
    if batch.quality.any():
        old = (batch.quality == Quality.LATE) | (batch.quality == Quality.BACKFILLED)
        batch = batch.select(~(old & (batch.t_ns < table.last_t_ns[batch.tag])))
    table.last_value[batch.tag] = batch.value
    table.last_t_ns[batch.tag] = batch.t_ns
    table.last_quality[batch.tag] = batch.quality


def rounds(tag: NDArray[np.int32]) -> list[NDArray[np.intp]]:
    """Positions split so that each piece holds a tag at most once and order per tag is kept.

    >>> [piece.tolist() for piece in rounds(np.array([3, 5, 3, 3], dtype=np.int32))]
    [[0, 1], [2], [3]]
    """
    n = len(tag)
    if n <= 1:
        return [np.arange(n)]
    order = np.argsort(tag, kind="stable")
    ordered = tag[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    if len(first) == n:
        return [np.arange(n)]
    nth = np.empty(n, dtype=np.intp)
    nth[order] = np.arange(n) - np.repeat(first, np.diff(np.r_[first, n]))
    return np.split(np.argsort(nth, kind="stable"), np.cumsum(np.bincount(nth))[:-1])


def doubtful(tag: NDArray[np.int32], value: Floats, table: Table) -> Flags:
    """bool[n]: further than `max_step` from the last reading that was believed, and from one in doubt just before it.

    Causal: of a spike, its reading is withheld; of a true step, its first one.
    """
    found = np.zeros(len(tag), dtype=bool)
    with np.errstate(over="ignore"):
        for rows in rounds(tag):
            tags, v = tag[rows], value[rows]
            believed, limit = table.believed_value[tags], table.max_step[tags]
            sure = np.isnan(believed) | (np.abs(v - believed) <= limit) | (np.abs(v - table.doubted_value[tags]) <= limit)
            table.believed_value[tags[sure]] = v[sure]
            table.doubted_value[tags] = np.where(sure, np.nan, v)
            found[rows] = ~sure
    return found


def stuck(tag: NDArray[np.int32], t_ns: NDArray[np.int64], value: Floats, table: Table) -> Flags:
    """bool[n]: the tag may not stand still this long, and it has not moved at all for longer. Only sound readings count."""
    found = np.zeros(len(tag), dtype=bool)
    for rows in rounds(tag):
        tags, t, v = tag[rows], t_ns[rows], value[rows]
        moved = v != table.moved_value[tags]
        table.moved_value[tags[moved]] = v[moved]
        table.moved_t_ns[tags[moved]] = np.maximum(t[moved], table.moved_t_ns[tags[moved]])
        limit = table.stuck_ns[tags]
        found[rows] = (limit > 0) & ~moved & (table.moved_t_ns[tags] > 0) & (t - table.moved_t_ns[tags] > limit)
    return found


def deadband(batch: Batch, table: Table) -> Batch:
    """Leave out readings that changed less than the tag's deadband since the last one passed on, until the heartbeat."""
    keep = np.ones(len(batch), dtype=bool)
    for rows in rounds(batch.tag):
        tags, t, v = batch.tag[rows], batch.t_ns[rows], batch.value[rows]
        band = table.deadband[tags]
        small = np.abs(v - table.passed_value[tags]) < band  # NaN (nothing passed yet) compares False
        due = t - table.passed_t_ns[tags] >= table.heartbeat_ns[tags]
        keep[rows] = go = (band == 0) | ~small | due
        table.passed_value[tags[go]] = v[go]
        table.passed_t_ns[tags[go]] = t[go]
    return batch if keep.all() else batch.select(keep)
