"""Runs a configuration's watches over a recording: the engine's pipeline, with clocks that follow it and a book instead of an outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gateway.backtest.came import came, set_back
from gateway.backtest.clock import RecordingClock
from gateway.backtest.cutting import judged, slices
from gateway.config.settings import Settings
from gateway.contract import Batch, ConfigError, Finding, Json, Scores, Scoring
from gateway.engine.inbox import Emitted, Inbox
from gateway.engine.line import Line
from gateway.engine.pipeline import Pipeline
from gateway.engine.watch import Watch
from gateway.incidents import Change, Incident, Incidents, Phase, Rule
from gateway.telemetry.counts import Counts

ROWS, MOST_ROWS = 8, 65_536  # of a slice: of each tag on average, and in all
_SOURCE = "recording"


@dataclass(slots=True)
class Alarm:
    """An incident that was raised. `cleared_ns` 0: open at the end. Title, score and explanation are those it was raised with."""

    watch: str
    machine: str
    condition: str
    tags: tuple[str, ...]
    title: str
    severity: int
    score: float
    since_ns: int
    raised_ns: int
    explanation: Mapping[str, Json]
    cleared_ns: int = 0


@dataclass(slots=True)
class Book:
    """Writes down what the pipeline says: what would have gone to the outbox."""

    alarms: list[Alarm] = field(default_factory=list)
    facts: list[tuple[str, Finding]] = field(default_factory=list)
    _open: dict[str, Alarm] = field(default_factory=dict)

    def change(self, change: Change) -> None:
        incident = change.incident
        if change.phase is Phase.RAISED:
            alarm = _alarm(incident, change.t_ns)
            self.alarms.append(alarm)
            self._open[incident.id] = alarm
        elif change.phase is Phase.UPDATED and incident.id in self._open:
            self._open[incident.id].severity = incident.peak
        elif change.phase is Phase.CLEARED and incident.id in self._open:
            self._open.pop(incident.id).cleared_ns = change.t_ns

    def fact(self, finding: Finding, rule: Rule, *, from_record: bool = False) -> None:
        self.facts.append((rule.detector, finding))

    def acknowledge(self, accepted: asyncio.Future[None]) -> None:
        accepted.set_result(None)

    async def room(self, _seconds: float) -> bool:
        return True


@dataclass(frozen=True)
class Played:
    """What came of it. `scoring`: the watches that gave scores; `silent`: those that cannot; `bad`: readings the stages refused."""

    line: Line
    book: Book
    scoring: tuple[str, ...]
    silent: tuple[str, ...]
    bad: int


def play(
    settings: Settings,
    readings: Batch,
    ahead_ns: NDArray[np.int64] | None = None,
    *,
    progress: Callable[[int], None] = lambda _rows: None,
    scores: Callable[[str], Scores] | None = None,
) -> Played:
    """`readings` are in engineering units, in the order of their times, with the tag indices of `settings`.

    ahead_ns   of each of them: by how much the clock it is of was set back in the recording so far; None: none was
    progress   told how many readings were done since the last time
    scores     the taker of a watch's scores, by its name
    raises ConfigError   a detector cannot be built, or there is nothing to play
    """
    if not len(readings):
        raise ConfigError("the recording holds no readings of these tags")
    line = _line(settings)
    counts, book = Counts(), Book()
    begin_ns = int(readings.t_ns[0])
    stages_clock, incidents_clock = RecordingClock(begin_ns), RecordingClock(begin_ns)
    incidents = Incidents(incidents_clock, lambda *parts: "/".join(map(str, parts)), evidence_seconds=0.0)
    player = _Player(line, incidents, book, clock=stages_clock, counts=counts, at=incidents_clock)
    scoring = _show(line, scores) if scores is not None else ()
    most = min(ROWS * len(np.unique(readings.tag)), MOST_ROWS)
    ahead_ns = np.zeros(len(readings), np.int64) if ahead_ns is None else ahead_ns
    fine = judged(readings, line) | set_back(readings, ahead_ns)
    for rows in slices(came(readings.t_ns, ahead_ns), fine, most):
        player.slice(readings.select(np.arange(rows.start, rows.stop)), ahead_ns[rows])
        progress(rows.stop - rows.start)
    names = tuple(watch.name for watch in line.watches)
    return Played(line, book, scoring, tuple(name for name in names if name not in scoring), counts.total("readings_bad"))


class _Player(Pipeline):
    """The pipeline, a slice at a time. Findings wait until the slice is through and are then told in the order of their times, each
    at its own time, so that `hold` and `clear_after` run in the recording's time whatever the slice."""

    def __init__(self, line: Line, incidents: Incidents, book: Book, *, clock: RecordingClock, counts: Counts, at: RecordingClock) -> None:
        super().__init__(line, incidents, book, clock=clock, counts=counts, progress=lambda: None)
        self._stages_clock, self._at, self._book = clock, at, book
        self._told: list[tuple[Watch, Finding, bool]] = []
        self._ahead_ns: dict[str, int] = {}
        self.inboxes[_SOURCE] = _Slice()

    def slice(self, batch: Batch, ahead_ns: NDArray[np.int64]) -> None:
        """`ahead_ns` of each reading: by how much the clocks are ahead of its time. The readings of a machine have one clock."""
        end_ns = int((batch.t_ns + ahead_ns).max())
        if self._ahead_ns or ahead_ns.any():
            tags = self.line.settings.tags
            self._ahead_ns |= {tags[index].machine: ahead for index, ahead in zip(batch.tag.tolist(), ahead_ns.tolist(), strict=True)}
        self._stages_clock.to(end_ns)
        inbox = self.inboxes[_SOURCE]
        assert isinstance(inbox, _Slice)  # noqa: S101  the constructor put it there
        inbox.next = batch
        self.flush()
        told, self._told = sorted(self._told, key=lambda entry: self._at_ns(entry[1])), []
        for watch, finding, from_record in told:
            self._until(self._at_ns(finding))
            super().found(watch, [finding], from_record=from_record)
        self._until(end_ns)

    def found(self, watch: Watch, findings: Iterable[Finding], *, from_record: bool = False) -> None:
        self._told += [(watch, finding, from_record) for finding in findings]

    def _say_set_back(self, machine: str, seconds: float) -> None:
        """Whoever has read the recording knows."""

    def _at_ns(self, finding: Finding) -> int:
        return finding.t_ns + self._ahead_ns.get(finding.machine, 0)

    def _until(self, t_ns: int) -> None:
        """Let what became due until then happen at its own time, by the clock of its machine."""
        while (due := self._incidents.next_due()) is not None and self._at.when(due) <= t_ns:
            self._at.reach(due)
            for change in self._incidents.tick():
                self._book.change(change._replace(t_ns=change.t_ns - self._ahead_ns.get(change.incident.machine, 0)))
        self._at.to(t_ns)


class _Slice(Inbox):
    """Gives what was put there."""

    def __init__(self) -> None:
        super().__init__("block", wake=lambda: None, took=lambda _count: None, dropped=lambda _what, _why, _count: None)
        self.next: Batch | None = None

    def take(self) -> list[Emitted]:
        taken, self.next = self.next, None
        return [] if taken is None else [Emitted(taken)]


def _line(settings: Settings) -> Line:
    """With detectors that know nothing yet, of watches on trial too: what these would raise is what is asked. What was recorded has its
    unit and its time already, however long ago that was."""
    line = Line.of(settings)
    line.table.has_scale, line.table.gateway_time, line.table.earliest_ns = False, None, np.iinfo(np.int64).min
    for watch in line.watches:
        watch.shadow = False
        watch.ready(watch.settings.plugin.build(watch.settings.options, watch.context))
    return line


def _show(line: Line, scores: Callable[[str], Scores]) -> tuple[str, ...]:
    able = [watch for watch in line.watches if isinstance(watch.detector, Scoring)]
    for watch in able:
        assert isinstance(watch.detector, Scoring)  # noqa: S101  this tells mypy
        watch.detector.show(scores(watch.name))
    return tuple(watch.name for watch in able)


def _alarm(incident: Incident, raised_ns: int) -> Alarm:
    return Alarm(
        watch=incident.detector,
        machine=incident.machine,
        condition=incident.condition,
        tags=tuple(incident.tags),
        title=incident.title,
        severity=incident.peak,
        score=incident.score or 0.0,
        since_ns=incident.since_ns,
        raised_ns=raised_ns,
        explanation=dict(incident.explanation),
    )
