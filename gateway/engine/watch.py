"""One detector at work: which readings it gets, when, and where it computes."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gateway.config.settings import IncidentSettings, WatchSettings
from gateway.contract import (
    Batch,
    BlockWatchOptions,
    ConfigError,
    Detector,
    DetectorContext,
    Finding,
    Frame,
    Leaping,
    Rationed,
    Record,
    Selective,
    StateError,
    Tag,
    Waveform,
)
from gateway.engine.acquire import Acquisition, Swing
from gateway.engine.align import Aligner
from gateway.engine.blackout import Blackout
from gateway.engine.gate import Gate
from gateway.engine.opinion import Opinion
from gateway.engine.snapshot import Snapshots
from gateway.engine.stages import Table
from gateway.expression import compile_expression
from gateway.incidents import Rule

log = logging.getLogger("lineside")


class Watch:
    """A detector with its tags, gates and alignment.

    detector     None until it is built (a slow one is built on the analysis thread, after the start)
    table_size   rows of the tag table
    """

    def __init__(
        self,
        settings: WatchSettings,
        context: DetectorContext,
        gates: dict[str, Gate],
        incidents: IncidentSettings,
        table_size: int,
        triggers: dict[str, Gate] | None = None,
        loads: Mapping[str, int] | None = None,
    ) -> None:
        self.settings, self.context, self._gates = settings, context, gates
        self.name = settings.name
        options = settings.options
        self._acquisition = Acquisition(options, triggers or {}) if isinstance(options, BlockWatchOptions) else None
        self._load_tag = loads or {}
        self._seen: dict[int, Waveform] = {}
        self._kept_back: Counter[str] = Counter()
        self.rule = Rule(
            settings.name,
            settings.plugin.domain,
            incidents.hold if options.hold is None else options.hold,
            incidents.clear_after if options.clear_after is None else options.clear_after,
            frozenset([tag.path for tag in settings.tags] + [record.path for record in settings.records]),
            self.quiet,
            Opinion(settings, context),
        )
        self._blackout = Blackout(options.blackout, context.timezone) if options.blackout else None
        self._latest_ns: dict[str, int] = {}
        self._unleapt_ns: dict[str, int] = {}
        self.shadow: bool = options.shadow
        self.slow = settings.plugin.slow
        self.everything = settings.plugin.everything
        self.detector: Detector | None = None
        self._words: deque[Callable[[Detector], None]] = deque()
        self._heard = 0
        self.spoke = False
        """It found something since its state was last taken."""
        self.leapt: set[str] = set()
        """Machines whose clock leapt, which the state on disk knows nothing of."""
        self.fit(table_size)
        self._of_machine = {
            machine: np.array([tag.index for tag in settings.tags if tag.machine == machine], dtype=np.int32)
            for machine in dict.fromkeys(tag.machine for tag in settings.tags)
        }
        self.machines = max(1, len(self._of_machine))
        self.channels = sum(tag.options.kind == "waveform" for tag in settings.tags)
        self._machine_of = {tag.index: tag.machine for tag in settings.tags}
        self.records = frozenset(record.path for record in settings.records)
        self._aligners: dict[str, Aligner] = {}

    def fit(self, table_size: int) -> None:
        """The tag table has this many rows now."""
        self._mask = np.zeros(table_size, dtype=bool)
        self._mask[[tag.index for tag in self.settings.tags]] = True
        self._all = bool(self._mask.all())

    def ready(self, detector: Detector) -> None:
        """The detector was built: know what it takes.

        raises ConfigError   it would wait for business messages that it can never get
        """
        if self.slow and self.records and Record in detector.takes:
            # Being late drops its items, but a message is acknowledged only when what it caused is on disk.
            raise ConfigError(f"watch {self.name}: {self.settings.plugin.name} is a slow detector, which gets no business messages")
        self.detector = detector
        self.takes = detector.takes
        if Frame in self.takes:
            options = self.settings.options
            for machine in self._of_machine:
                tags = tuple(tag for tag in self.settings.tags if tag.machine == machine and tag.options.kind != "waveform")
                if tags:
                    self._aligners[machine] = Aligner(machine, tags, every=options.every, valid_for=options.valid_for)

    def items(self, batch: Batch, table: Table) -> list[Batch | Frame]:
        """What of a batch concerns this detector, in the shape it takes.

        batch   what the stages passed on, or everything they saw, as `everything` says
        """
        rows = self._rows(batch, table)
        if rows is None:
            mine = batch
        elif not rows.any():
            return []
        else:
            mine = batch if rows.all() else batch.select(rows)
        found: list[Batch | Frame] = [mine] if Batch in self.takes else []
        for aligner in self._aligners.values():
            rows = np.isin(mine.tag, aligner.tags)
            if self.everything:
                rows &= mine.good
            frame = aligner.add(mine.select(rows)) if rows.any() else None
            if frame is not None:
                found.append(frame)
        return found

    def leap(self, delta_ns: int, silent: Set[int]) -> None:
        """The gateway's clock was put right by so much. `silent`: tags that have not shown yet whether they follow an earlier leap."""
        waiting = {self._machine_of[tag] for tag in silent if tag in self._machine_of}
        for machine in self._of_machine:
            self._ask(machine, delta_ns + (self._unleapt_ns.get(machine, 0) if machine in waiting else 0), delta_ns)

    def set_back(self, machine: str, delta_ns: int) -> None:
        """The clock of this machine was, by so much below 0: it is its own, and follows no leap that it has not followed yet."""
        if machine in self._of_machine:
            self._ask(machine, delta_ns, delta_ns)

    def _ask(self, machine: str, unleapt_ns: int, delta_ns: int) -> None:
        self._unleapt_ns[machine] = unleapt_ns
        self._latest_ns.pop(machine, None)
        if machine in self._aligners:
            self._aligners[machine].leap(delta_ns)

    @property
    def ahead_ns(self) -> int:
        """By how much its detector may be ahead of the gateway's clock, which leapt back: a silent machine has not shown it yet."""
        return -min([0, *self._unleapt_ns.values()])

    def went_back(self, ahead_ns: int, machine: str | None = None) -> None:
        """Its detector's state is of a time when the clock was ahead by so much: the gateway's, or that of a machine. Nobody knows which
        machines go by the gateway's; times that are still to come would make it deaf until then, and older ones do no harm.
        """
        if ahead_ns > 0:
            for name in self._of_machine if machine is None else {machine} & self._of_machine.keys():
                self._told_leap(name, -ahead_ns)

    def follow(self, tag: int) -> int:
        """This tag's times were seen to leap with that clock, and so do those of its machine: the detector is told, once. By how much."""
        machine = self._machine_of.get(tag)
        if machine is not None and (delta_ns := self._unleapt_ns.pop(machine, 0)):
            if machine in self._gates:
                self._gates[machine].leap(delta_ns)
            self._told_leap(machine, delta_ns)
            return delta_ns
        return 0

    def _told_leap(self, machine: str, delta_ns: int) -> None:
        self.leapt.add(machine)
        self.tell(partial(_leap, machine=machine, delta_ns=delta_ns))

    def moved(self, item: Batch | Frame | Waveform, tag: int, delta_ns: int, after_ns: int) -> Batch | Frame | Waveform:
        """The same, with the times of this tag's machine so much later, where they are after `after_ns`."""
        machine = self._machine_of.get(tag)
        if machine is None:  # one that a reload has just added, and the lane is still that of before
            return item
        if isinstance(item, Waveform):
            return replace(item, t_ns=item.t_ns + delta_ns) if self._machine_of[item.tag] == machine and item.t_ns > after_ns else item
        mine = np.isin(item.tag, self._of_machine[machine]) if isinstance(item, Batch) else item.machine == machine
        return replace(item, t_ns=np.where(mine & (item.t_ns > after_ns), item.t_ns + delta_ns, item.t_ns))

    def wants_waveform(self, block: Waveform, table: Table, swing: Swing) -> bool:
        """A block of its tags that it does not want is counted with the reason."""
        if Waveform not in self.takes or not self._mask[block.tag]:
            return False
        machine = self._machine_of[block.tag]
        gate = self._gates.get(machine)
        if gate is not None and not gate.is_open(table, block.t_ns):
            self._kept_back["only_when"] += 1
            return False
        if self._blackout is not None:
            self._latest_ns[machine] = block.t_ns
            if self._blackout.at(block.t_ns):
                self._kept_back["blackout"] += 1
                return False
        return self._acquisition is None or self._acquisition.takes(block, machine, table, swing)

    def loaded(self, block: Waveform, table: Table) -> Waveform:
        """With the machine's load, if the watch names its tag and the last value is good and of the same minute."""
        index = self._load_tag.get(self._machine_of[block.tag])
        load = None if index is None else table.beside(index, block.t_ns)
        return block if load is None else replace(block, load=load)

    def blocks(self, machine: str) -> list[Waveform]:
        """The last one of each channel of a machine that the detector was given; in the loop."""
        known = (self._seen.get(tag.index) for tag in self.settings.tags if tag.machine == machine)
        return [block for block in known if block is not None]

    def left_out(self) -> dict[str, int]:
        """Blocks of its fast channels that were not looked at, by reason, since the start."""
        found = self._kept_back + (self._acquisition.left_out if self._acquisition is not None else Counter())
        return dict(found + Counter(self.detector.left_out() if isinstance(self.detector, Selective) else {}))

    def quiet(self, machine: str, now_ns: int) -> bool:
        """Whether it raises nothing of this machine now, by the time of the machine's newest reading; by ours if it has none."""
        return self._blackout is not None and self._blackout.at(self._latest_ns.get(machine, now_ns))

    def process(self, item: Batch | Frame | Waveform | Record, told: int | None = None) -> list[Finding]:
        """What the detector says; an error of it is a bug, which ends the gateway, and names the watch that has it. `told`: so many words
        came before the item; None: all.
        """
        assert self.detector is not None  # noqa: S101  whoever asks has looked
        try:
            if self._words:
                self._listen(self.detector, told)
            if isinstance(item, Waveform):
                self._seen[item.tag] = item
            found = self.detector.process(item)
            self.spoke = self.spoke or bool(found)
            return found
        except Exception as exc:
            exc.add_note(f"watch {self.name} ({self.settings.plugin.name}) looking at a {type(item).__name__}")
            raise

    def skip(self, frame: Frame) -> None:
        """Its budget is used up; called where `process` is."""
        if isinstance(self.detector, Rationed):
            self.detector.skip(frame)

    def dump(self) -> bytes | None:
        """The detector's state, with what it was told; None while it is not built. Called where `process` is."""
        if self.detector is None:
            return None
        self._listen(self.detector)
        return self.detector.dump()

    def tell(self, word: Callable[[Detector], None]) -> None:
        """Have it told to the detector between two calls of `process`, on the thread that makes them, in this order; called in the loop."""
        self._words.append(word)
        if self.detector is not None and not self.slow:
            self._listen(self.detector)

    @property
    def told(self) -> int:
        """How many words so far; no count of its own, for what is told while the detector is built comes from another thread."""
        return self._heard + len(self._words)

    def _listen(self, detector: Detector, told: int | None = None) -> None:
        while self._words and (told is None or self._heard < told):
            self._heard += 1
            self._words.popleft()(detector)

    def wants_record(self, record: Record) -> bool:
        return Record in self.takes and record.source in self.records

    def _rows(self, batch: Batch, table: Table) -> NDArray[np.bool_] | None:
        """bool[n]: what of a batch may be looked at; None = everything."""
        allowed = self._open(table)
        rows = None if allowed is None else allowed[batch.tag]
        if self._blackout is None:
            return rows
        for machine, tags in self._of_machine.items():
            newest = int(table.last_t_ns[tags].max())
            if newest > 0:
                self._latest_ns[machine] = newest
        inside = self._blackout.rows(batch.t_ns)
        return rows if inside is None else ~inside if rows is None else rows & ~inside

    def _open(self, table: Table) -> NDArray[np.bool_] | None:
        """bool[tags] of what may be looked at now; None = everything."""
        closed = [machine for machine, gate in self._gates.items() if not gate.is_open(table)]
        if not closed:
            return None if self._all else self._mask
        allowed = self._mask.copy()
        for machine in closed:
            allowed[self._of_machine[machine]] = False
        return allowed


def _leap(detector: Detector, machine: str, delta_ns: int) -> None:
    if isinstance(detector, Leaping):
        detector.leap(machine, delta_ns)


def build_watch(
    settings: WatchSettings,
    *,
    tags: Mapping[str, Mapping[str, Tag]],
    incidents: IncidentSettings,
    table_size: int,
    context: DetectorContext,
) -> Watch:
    """Compile the gates of a watch; raises nothing the configuration check did not already find."""
    options = settings.options

    def gates(text: str | None, settle: float) -> dict[str, Gate]:
        if not text:
            return {}
        expression = compile_expression(text)
        return {machine: Gate(expression, tags[machine], settle) for machine in dict.fromkeys(tag.machine for tag in settings.tags)}

    triggers = gates(options.trigger, 0.0) if isinstance(options, BlockWatchOptions) else {}
    loads = {}
    if isinstance(options, BlockWatchOptions) and options.load is not None:
        loads = {tag.machine: tags[tag.machine][options.load].index for tag in settings.tags}
    return Watch(settings, context, gates(options.only_when, options.settle), incidents, table_size, triggers, loads)


def build_detector(watch: Watch, snapshots: Snapshots) -> Detector:
    """Make the detector and give it its state back; runs on the analysis thread for slow ones."""
    detector = watch.settings.plugin.build(watch.settings.options, watch.context)
    state = snapshots.load(watch.name)
    if state is not None:
        try:
            detector.load(state)
        except StateError as exc:
            log.warning("detector starts fresh", extra={"fields": {"watch": watch.name, "why": str(exc)}})
        else:
            watch.went_back(snapshots.ahead_ns(watch.name))
    return detector
