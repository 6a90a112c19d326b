"""What a configuration makes of the engine: tag table, history, watches. Rebuilt on reload, keeping what did not change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.config.settings import Settings, WatchSettings
from gateway.contract import DetectorContext, Tag, Waveform
from gateway.engine.stages import Table
from gateway.engine.watch import Watch, build_watch
from gateway.incidents import History, Rule

_PAGE_SECONDS = 300.0


@dataclass(frozen=True)
class Line:
    """One configuration at work.

    speed_tag   machine name -> index of the tag that tells its shaft speed in rpm
    """

    settings: Settings
    table: Table
    history: History
    watches: tuple[Watch, ...]
    speed_tag: dict[str, int]

    @property
    def rules(self) -> dict[str, Rule]:
        """How findings become incidents, by watch; one on trial has none."""
        return {watch.name: watch.rule for watch in self.watches if not watch.shadow}

    def same_tags(self, old: Line) -> NDArray[np.bool_]:
        """bool[tags]: those that are read as before, and from where they were."""
        before, now = ({source.machine: source.options for source in line.settings.sources} for line in (old, self))
        elsewhere = {machine for machine, options in now.items() if options != before.get(machine)}
        same = np.zeros(len(self.settings.tags), dtype=bool)
        for tag, known in zip(self.settings.tags, old.settings.tags, strict=False):  # new ones come behind
            same[tag.index] = tag == known and tag.machine not in elsewhere
        return same

    def swing(self, block: Waveform) -> float | None:
        """By which share of its mean the shaft speed changed during the block and as long before it; None: fewer than two readings."""
        tag = self.settings.tags[block.tag]
        index = self.speed_tag.get(tag.machine)
        if index is None:
            return None
        length = int(len(block.samples) / block.rate_hz * 1e9)
        name = self.settings.tags[index].name
        for _, (_, value) in self.history.series(tag.machine, [name], block.t_ns - length, block.t_ns + length):
            known = value[~np.isnan(value)]
            mean = abs(float(known.mean())) if len(known) > 1 else 0.0
            return float(np.ptp(known)) / mean if mean > 0 else None
        return None

    @staticmethod
    def of(settings: Settings, old: Line | None = None) -> Line:
        """Compile; watches that did not change are the very objects of `old`, detector and all."""
        table = Table.of(settings.tags)
        table.gateway_time = _gateway_time(settings)
        if old is not None:
            table.adopt(old.table)
        incidents = settings.incidents
        history = History(settings.tags, keep_seconds=max(_PAGE_SECONDS, incidents.before + incidents.after + 60))
        if old is not None:
            history.adopt(old.history)
        return Line(
            settings=settings,
            table=table,
            history=history,
            watches=tuple(_watch(watch, settings, old) for watch in settings.watches),
            speed_tag=_speed_tags(settings),
        )


def _gateway_time(settings: Settings) -> NDArray[np.bool_] | None:
    chosen = [tag.index for source in settings.sources if source.options.clock == "gateway" for tag in source.tags]
    if not chosen:
        return None
    flags = np.zeros(len(settings.tags), dtype=bool)
    flags[chosen] = True
    return flags


def _watch(watch: WatchSettings, settings: Settings, old: Line | None) -> Watch:
    for known in old.watches if old is not None else ():
        if known.settings == watch and _same_surroundings(watch, settings, old):
            known.fit(len(settings.tags))
            return known
    context = DetectorContext(
        name=watch.name, tags=watch.tags, records=watch.records, machines=dict(settings.machines), timezone=settings.site.timezone
    )
    return build_watch(
        watch,
        tags=_tags_by_machine(settings.tags),
        incidents=settings.incidents,
        table_size=len(settings.tags),
        context=context,
    )


def _same_surroundings(watch: WatchSettings, settings: Settings, old: Line | None) -> bool:
    if old is None or old.settings.incidents != settings.incidents or old.settings.site != settings.site:
        return False
    machines = {tag.machine for tag in watch.tags} | {record.machine for record in watch.records}
    return all(old.settings.machines.get(name) == settings.machines.get(name) for name in machines)


def _tags_by_machine(tags: tuple[Tag, ...]) -> dict[str, dict[str, Tag]]:
    found: dict[str, dict[str, Tag]] = {}
    for tag in tags:
        found.setdefault(tag.machine, {})[tag.name] = tag
    return found


def _speed_tags(settings: Settings) -> dict[str, int]:
    by_machine = _tags_by_machine(settings.tags)
    found = {}
    for name, machine in settings.machines.items():
        if machine.bearing is not None and isinstance(machine.bearing.speed, str):
            found[name] = by_machine[name][machine.bearing.speed].index
    return found
