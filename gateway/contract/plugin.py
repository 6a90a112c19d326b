"""Detectors, uplinks and the rules for every plugin; sources are in `source.py`.

Rules for every plugin: the constructor does no I/O; a plugin never retries, never sleeps on an error and never logs
what it raises. It says what happened (`errors.py`); one supervisor decides.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable
from zoneinfo import ZoneInfo

from gateway.contract.event import Event, Outcome, Usage
from gateway.contract.finding import Finding
from gateway.contract.items import Batch, Frame, Record, Waveform
from gateway.contract.options import SecretRef, UplinkOptions, WatchOptions
from gateway.contract.plant import Clock, Machine, RecordSpec, Tag
from gateway.contract.source import SourcePlugin
from gateway.contract.verdict import Label, Verdict


@dataclass(frozen=True, kw_only=True)
class DetectorContext:
    """What a detector is given beside its options.

    name       the watch's name, unique
    tags       the tags that `on` matched, in the order of the tag table
    records    the business messages that `on` matched
    machines   by name, every machine of the configuration
    timezone   of the plant, for shifts and hours of the day
    """

    name: str
    tags: tuple[Tag, ...]
    records: tuple[RecordSpec, ...] = ()
    machines: Mapping[str, Machine] = field(default_factory=dict)
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))


@runtime_checkable
class Detector(Protocol):
    """Turns items into findings. Plain computing: no I/O, no clock, no randomness that is not seeded.

    takes   the shapes `process` wants: any of Batch, Frame, Waveform, Record. A Batch holds only good readings of
            the watched tags, at their own times: per-tag detectors take it (all readings, if the plugin asks for
            `everything`). A Frame is one machine's rows.

    The same input gives the same findings, however it is cut into items. Memory is O(1) per tag.
    The first opinion on each condition after a start is always told, also when it is OVER: an incident
    that was open before a crash is closed by it.
    """

    takes: ClassVar[frozenset[type]]

    def process(self, item: Batch | Frame | Waveform | Record) -> list[Finding]:
        """Score, then learn; findings in the order of their time. Readings that are late or repeated are tolerated."""

    def dump(self) -> bytes:
        """The state: versioned, bounded, not a pickle. The engine adds the checksum and writes the file."""

    def load(self, state: bytes) -> None:
        """Continue from `dump`; raises StateError, and is unchanged then, when the state does not fit."""


@runtime_checkable
class Teachable(Protocol):
    """What a detector may have beside `Detector`: it learns from verdicts on its incidents."""

    def teach(self, label: Label) -> None:
        """Told once, between two calls of `process`. It must not silence a condition for good."""


@runtime_checkable
class Tunable(Protocol):
    """What a detector may have beside `Detector`: its threshold can be moved a little.

    The gateway keeps the factor within the bounds of the watch (`feedback`), writes each change down, and can take it back; it
    is no part of the detector's state.
    """

    def tune(self, machine: str, condition: str, factor: float) -> None:
        """From now on this condition's threshold is the configured one times `factor`, at least 1; told at the start and on each change."""


@runtime_checkable
class Leaping(Protocol):
    """What a detector may have beside `Detector`: it goes along when the gateway's clock is put right, or that of a device set back.

    Without it, a leap ahead is a pause, and after a leap back it is deaf until time has passed what it has seen.
    """

    def leap(self, machine: str, delta_ns: int) -> None:
        """Times of this machine's items are later by so much (negative: earlier) than they would have been; nothing else has changed.

        What is remembered of times goes with them. Told between two calls of `process`, for machines that go by that clock.
        """


@runtime_checkable
class Rationed(Protocol):
    """What a slow detector may have beside `Detector`, if its options are `RationedWatchOptions`: it is told what it was not given.

    The engine measures how long it computes on the analysis thread; the detector itself has no clock, so within the budget, and in
    a backtest, its findings depend on the input alone.
    """

    def skip(self, frame: Frame) -> None:
        """These rows came when its budget was used up: neither scored nor learnt, only counted."""


@runtime_checkable
class Selective(Protocol):
    """What a detector of waveforms may have beside `Detector`: it tells what it was given and could not look at."""

    def left_out(self) -> Mapping[str, int]:
        """Blocks by reason, since it was built; from any thread, so its keys are always the same."""


def _ignored(_usage: Usage) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class UplinkContext:
    """What an uplink is given beside its options.

    name     the destination's
    source   our CloudEvents `source`
    lost     tell that the connection is gone, so that an idle destination is known to be down before the next event shows it
    used     tell how much of an allowance is used up, as often as the receiver says it
    cut      tell how many fields of events were cut short, or left empty, because the receiver's have no room for what belongs there
    shared   the plugin's own: what its uplink and its feedback of this destination have in common, such as a login; it lives as
             long as the destination is configured as it is
    """

    name: str
    source: str
    clock: Clock
    state_dir: Path
    secret: Callable[[SecretRef], str]
    used: Callable[[Usage], None] = _ignored
    lost: Callable[[], None] = lambda: None
    cut: Callable[[int], None] = lambda _count: None
    shared: dict[str, Any] = field(default_factory=dict)


class Uplink(Protocol):
    """Delivers to one destination. One task calls it."""

    async def connect(self) -> None:
        """Open the connection; raises NotConnected (also for credentials that are refused)."""

    async def send(self, events: Sequence[Event]) -> list[Outcome]:
        """Send, and say for each event what came of it: one outcome per event, same order.

        Never waits longer than the configured timeout. An event may have been sent before: the receiver knows it
        by its id. Raises NotConnected only when nothing of the batch can have been taken.
        """

    async def close(self) -> None:
        """Release everything; never raises; twice is fine."""


class Feedback(Protocol):
    """Brings verdicts from a destination. One task calls it, as it does a source: connect, read, read, ..., close."""

    async def connect(self) -> None:
        """Open the connection; raises NotConnected (also for credentials that are refused)."""

    async def read(self) -> list[Verdict]:
        """Wait for verdicts; may be cancelled at any await. Calling it again is the acknowledgement: what it returned is on disk.

        What was not acknowledged comes again; a verdict that comes twice has the same id. What cannot be understood is
        skipped with a line in the log, not raised. Raises NotConnected when the peer is lost.
        """

    async def close(self) -> None:
        """Release everything; never raises; twice is fine."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an examination: what was tried, whether it worked, and if not, what the administrator must change."""

    name: str
    ok: bool
    said: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class DetectorPlugin:
    """How a detector introduces itself (entry point group ``gateway.detectors``, same name).

    domain   the part of the event type: ``io.lineside.<domain>.raised.v1``
    slow     True: more than a millisecond per item; runs on the analysis thread, where being late drops its items
             (counted), never anybody's readings; it gets no Record, because a message must not be dropped
    everything  True: its Batches hold every reading of the watched tags, also the bad ones (NaN, with their reason) and those
             that a deadband leaves out: it judges the sensors, not the process
    check    raises ConfigError for what the options alone cannot show (a unit, a bearing that is not in the table), so
             that it is found before anything starts; quick, no I/O beyond the plugin's own files
    needs    libraries that an installation may lack; a configuration that names the detector is refused then, with the remedy
    tells    whether it has an opinion on a condition, with these options and this context, which is of one machine; an incident of one on
             which no watch has any is closed. It may raise ConfigError, which is none
    """

    name: str
    domain: str
    options: type[WatchOptions]
    build: Callable[[Any, DetectorContext], Detector]
    slow: bool = False
    everything: bool = False
    check: Callable[[Any, DetectorContext], None] = lambda _options, _context: None
    needs: tuple[str, ...] = ()
    tells: Callable[[Any, DetectorContext, str], bool] = lambda _options, _context, _condition: True


@dataclass(frozen=True, kw_only=True)
class UplinkPlugin:
    """How an uplink introduces itself (entry point group ``gateway.uplinks``, same name).

    feedback   builds what brings verdicts back, if the options ask for it; None: this destination gives none
    examine    walks through login, permission and, with an event, one delivery of it; stops at the first step that fails
    """

    name: str
    options: type[UplinkOptions]
    build: Callable[[Any, UplinkContext], Uplink]
    feedback: Callable[[Any, UplinkContext], Feedback | None] = lambda _options, _context: None
    examine: Callable[[Any, UplinkContext, Event | None], AsyncIterator[Step]] | None = None


Plugin: TypeAlias = SourcePlugin | DetectorPlugin | UplinkPlugin
