"""Watches: which detector looks at which tags and records."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from gateway.config.document import Reader, Spot
from gateway.config.plugins import pick_plugin
from gateway.config.problems import did_you_mean
from gateway.config.settings import WatchSettings
from gateway.config.yaml import Path
from gateway.contract import DetectorPlugin, Machine, RecordSpec, Tag, WatchOptions
from gateway.expression import compile_expression


def read_watches(
    reader: Reader, tags: tuple[Tag, ...], records: tuple[RecordSpec, ...], machines: Mapping[str, Machine]
) -> tuple[WatchSettings, ...]:
    """What is wrong is noted in `reader`."""
    given = reader.data.get("watch")
    found: list[WatchSettings] = []
    numbers: dict[str, int] = {}
    for i, item in enumerate(given if isinstance(given, list) else []):
        where: Path = ("watch", i)
        if not isinstance(item, Mapping):
            continue
        plugin = pick_plugin(reader, "detectors", item, where)
        if plugin is None:
            continue
        for other in item:
            if other != plugin.name:
                reader.problem((*where, other), "unknown option", f"options of {plugin.name} are indented below it", key=True)
        numbers[plugin.name] = numbers.get(plugin.name, 0) + 1
        watch = _one(reader, plugin, item[plugin.name], (*where, plugin.name), numbers[plugin.name], tags, records, machines)
        if watch is not None and watch.name in {known.name for known in found}:
            reader.problem((*where, plugin.name, "name"), f"a second watch named {watch.name!r}")
        elif watch is not None:
            found.append(watch)
    return tuple(found)


def _one(
    reader: Reader,
    plugin: DetectorPlugin,
    data: Any,
    where: Path,
    number: int,
    tags: tuple[Tag, ...],
    records: tuple[RecordSpec, ...],
    machines: Mapping[str, Machine],
) -> WatchSettings | None:
    options = reader.validate(plugin.options, data if data is not None else {}, Spot.of(where))
    if not isinstance(options, WatchOptions):
        return None
    chosen: set[str] = set()
    known = {tag.path for tag in tags} | {record.path for record in records}
    for i, pattern in enumerate(options.on):
        matched = _matching(pattern, known)
        if not matched:
            place = (*where, "on", i) if (*where, "on", i) in reader.document.values else (*where, "on")
            reader.problem(place, f"{pattern!r} matches no tag and no record", did_you_mean(pattern, [*known, *machines]))
        chosen |= matched
    mine = tuple(tag for tag in tags if tag.path in chosen)
    _check_gate(reader, options, where, {tag.machine for tag in mine}, tags)
    return WatchSettings(
        name=options.name or f"{plugin.name}-{number}",
        plugin=plugin,
        options=options,
        tags=mine,
        records=tuple(record for record in records if record.path in chosen),
    )


def _matching(pattern: str, known: set[str]) -> set[str]:
    full = pattern if "/" in pattern else f"{pattern}/*"
    return {path for path in known if fnmatchcase(path, full)}


def _check_gate(reader: Reader, options: WatchOptions, where: Path, machines: set[str], tags: tuple[Tag, ...]) -> None:
    if options.only_when is None:
        return
    place = (*where, "only_when")
    try:
        expression = compile_expression(options.only_when)
    except ValueError as exc:
        reader.problem(place, str(exc))
        return
    for machine in sorted(machines):
        names = {tag.name for tag in tags if tag.machine == machine}
        for name in sorted(expression.names - names):
            reader.problem(place, f"machine {machine!r} has no tag {name!r}", did_you_mean(name, names))
