"""`lineside commission`: reads every tag once and says what is not as the configuration says; the hand-over document."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

import click
import numpy as np

from gateway.commands.database import Refused
from gateway.commands.peers import context
from gateway.commands.report import html
from gateway.commands.trust import SOON_DAYS, Shown, certificates
from gateway.config import Settings
from gateway.config.settings import SourceSettings
from gateway.contract import BAD, Batch, ConfigError, EndOfSource, Health, Item, NotConnected, Quality, Tag, Waveform, reason
from gateway.engine.order import in_order
from gateway.engine.stages import Table, run

Verdict: TypeAlias = Literal["ok", "look", "fault"]
OLD_SECONDS = 3600.0
"""A value whose source time is older was perhaps not measured today."""
SKEW_SECONDS = 5.0
CONNECT_SECONDS = 15.0


@dataclass
class TagReport:
    """What one tag said. `look`: allowed, but a person should see it."""

    path: str
    unit: str
    value: float | None = None
    quality: str = "nothing came"
    t_ns: int = 0
    verdict: Verdict = "fault"
    remarks: list[str] = field(default_factory=list)


@dataclass
class SourceReport:
    """One machine; seconds from the start of the attempt to the connection."""

    machine: str
    kind: str
    verdict: Verdict = "fault"
    said: str = ""
    seconds: float = 0.0
    skew_seconds: float | None = None
    tags: list[TagReport] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)
    health: list[Health] = field(default_factory=list)


@dataclass
class Report:
    """The whole gateway, at one time."""

    settings: Settings
    at: datetime
    sources: list[SourceReport]
    certificates: list[Shown]

    @property
    def faults(self) -> int:
        return sum(s.verdict == "fault" for s in self.sources) + sum(t.verdict == "fault" for s in self.sources for t in s.tags)


def commission(settings: Settings, report: Path | None, *, wait_seconds: float) -> int:
    """Exit code: 0 everything is as it should be, 1 something is not."""
    found = asyncio.run(_examine(settings, wait_seconds))
    _print(found)
    if report is not None:
        try:
            report.write_text(html(found), encoding="utf-8")
        except OSError as exc:
            raise Refused(f"{report} cannot be written: {exc.strerror}") from exc
        click.echo(f"written to {report}")
    return 1 if found.faults else 0


async def _examine(settings: Settings, wait_seconds: float) -> Report:
    sources = await asyncio.gather(*(_source(source, settings, wait_seconds) for source in settings.sources))
    try:
        shown = list(certificates(settings.state_dir / "pki"))
    except Refused:
        shown = []
    return Report(settings, datetime.now(UTC), sources, shown)


async def _source(source: SourceSettings, settings: Settings, wait_seconds: float) -> SourceReport:
    found = SourceReport(source.machine, source.plugin.name)
    given = context(
        source.machine,
        tags=source.tags,
        records=source.records,
        state_dir=settings.state_dir,
        secrets=settings.path.parent,
        told=found.health.append,
    )
    reading = _Reading(source, settings, found)
    try:
        device = await asyncio.to_thread(source.plugin.build, source.options, given)
    except (ConfigError, ImportError) as exc:
        found.said = str(exc)
        return found
    started = time.monotonic()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await device.connect()
        found.seconds, found.verdict, found.said = time.monotonic() - started, "ok", "connected"
        with suppress(TimeoutError, EndOfSource):
            async with asyncio.timeout(wait_seconds):
                while not reading.complete:
                    got = await device.read()
                    reading.take(got if isinstance(got, list) else [got])
    except (NotConnected, ConfigError, TimeoutError) as exc:
        found.verdict, found.said = "fault", str(exc) or f"no connection within {CONNECT_SECONDS:g} s"
    finally:
        await device.close()
    reading.judge()
    return found


class _Reading:
    """Gathers one source's first values, through the same stages as the running gateway."""

    def __init__(self, source: SourceSettings, settings: Settings, found: SourceReport) -> None:
        self._tags, self._found = {tag.index: tag for tag in source.tags}, found
        self._table = Table.of(settings.tags)
        self._seen = {tag.index: TagReport(tag.path, tag.options.unit) for tag in source.tags}
        self._missing = set(self._seen)
        self._records = {record.path: 0 for record in source.records}
        self._lag = float("inf")

    @property
    def complete(self) -> bool:
        return not self._missing and all(self._records.values())

    def take(self, items: Sequence[Item]) -> None:
        now_ns = time.time_ns()
        for item in items:
            if isinstance(item, Batch):
                self._readings(in_order(item), now_ns)
            elif isinstance(item, Waveform):
                self._block(item)
            else:
                self._records[item.source] = self._records.get(item.source, 0) + 1

    def _readings(self, batch: Batch, now_ns: int) -> None:
        if not len(batch):
            return
        self._lag = min(self._lag, (now_ns - int(batch.t_ns[-1])) / 1e9)
        everything, _ = run(batch, self._table, now_ns)
        for row in range(len(everything)):
            index, quality = int(everything.tag[row]), int(everything.quality[row])
            seen, value = self._seen[index], float(everything.value[row])
            seen.value, seen.quality, seen.t_ns = None if np.isnan(value) else value, reason(quality), int(everything.t_ns[row])
            seen.verdict = "fault" if quality >= BAD else "ok" if quality == Quality.GOOD else "look"
            if quality < BAD:
                self._missing.discard(index)

    def _block(self, block: Waveform) -> None:
        seen = self._seen[block.tag]
        seen.value = float(np.sqrt(np.mean(np.square(block.samples, dtype=np.float64)))) if len(block.samples) else None
        seen.quality, seen.t_ns = reason(block.quality), block.t_ns
        seen.remarks.append(f"{len(block.samples)} samples at {block.rate_hz:g} Hz, the value is their rms")
        seen.verdict = "fault" if block.quality >= BAD else "look" if block.dropped else "ok"
        if block.quality < BAD:
            self._missing.discard(block.tag)

    def judge(self) -> None:
        """After the last value."""
        found, now_ns = self._found, time.time_ns()
        found.records = self._records
        found.skew_seconds = None if self._lag == float("inf") else 0.0 - self._lag
        for index, seen in self._seen.items():
            self._remark(self._tags[index], seen, now_ns)
        found.tags = list(self._seen.values())
        if found.skew_seconds is not None and found.skew_seconds > SKEW_SECONDS:
            found.said += f"; its clock is {found.skew_seconds:.0f} s ahead of this gateway's"
            found.verdict = "look" if found.verdict == "ok" else found.verdict

    @staticmethod
    def _remark(tag: Tag, seen: TagReport, now_ns: int) -> None:
        options = tag.options
        if seen.quality == "range":
            low, high = options.range
            seen.remarks.append(f"outside of {low:g} to {high:g}; is the byte order, scale or address right?")
        doubts = []
        if options.kind == "gauge" and not options.unit:
            doubts.append("no unit")
        if options.kind == "gauge" and options.range is None:
            doubts.append("no range: a wrong value would not be noticed")
        if seen.t_ns and (age := (now_ns - seen.t_ns) / 1e9) > OLD_SECONDS:
            doubts.append(f"its time is {age / 3600:.1f} h old")
        seen.remarks += doubts
        seen.verdict = "look" if doubts and seen.verdict == "ok" else seen.verdict


def _print(found: Report) -> None:
    for source in found.sources:
        good = sum(tag.verdict != "fault" for tag in source.tags)
        click.echo(f"{source.verdict:<5} {source.machine}: {source.said}; {good} of {len(source.tags)} tags")
        for tag in source.tags:
            if tag.verdict != "ok":
                click.echo(f"  {tag.verdict:<5} {tag.path}: {'; '.join([tag.quality, *tag.remarks])}")
        for record, count in source.records.items():
            if not count:
                click.echo(f"  look  {record}: no message came meanwhile")
        for health in source.health:
            if health.active:
                click.echo(f"  look  {health.device or source.machine}: {health.trouble.value}, {health.why}")
    for shown in found.certificates:
        if shown.folder != "rejected" and shown.days_left <= SOON_DAYS:
            click.echo(f"  look  certificate {shown.subject}: {shown.days_left:.0f} days left")
    click.echo("everything is as it should be" if not found.faults else f"{found.faults} faults")
