"""Watches: which detector looks at which tags and records."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from gateway.config.document import Reader, Spot
from gateway.config.machines import Plant
from gateway.config.plugins import pick_plugin
from gateway.config.problems import did_you_mean
from gateway.config.settings import WatchSettings
from gateway.config.yaml import Path
from gateway.contract import ConfigError, DetectorContext, DetectorPlugin
from gateway.expression import compile_expression


def read_watches(reader: Reader, plant: Plant) -> tuple[WatchSettings, ...]:
    """What is wrong is noted in `reader`."""
    given = reader.data.get("watch")
    found: dict[str, WatchSettings] = {}
    numbers: dict[str, int] = {}
    for i, item in enumerate(given if isinstance(given, list) else []):
        where: Path = ("watch", i)
        plugin = pick_plugin(reader, "detectors", item, where) if isinstance(item, Mapping) else None
        if plugin is None:
            continue
        for other in item:
            if other != plugin.name:
                reader.problem((*where, other), "unknown option", f"options of {plugin.name} stand inside it", key=True)
        numbers[plugin.name] = numbers.get(plugin.name, 0) + 1
        watch = _one(reader, plugin, item[plugin.name], (*where, plugin.name), numbers[plugin.name], plant)
        if watch is not None and watch.name in found:
            reader.problem((*where, plugin.name, "name"), f"a second watch named {watch.name!r}", "give it another name")
        elif watch is not None:
            found[watch.name] = watch
    return tuple(found.values())


def _one(reader: Reader, plugin: DetectorPlugin, data: Any, where: Path, number: int, plant: Plant) -> WatchSettings | None:
    given: Any = data if isinstance(data, Mapping) else {}
    options = reader.validate(plugin.options, data if data is not None else {}, Spot(where))
    on = options.on if options else _patterns(given.get("on"))
    chosen: set[str] = set()
    for i, pattern in enumerate(on):
        matched = _matching(pattern, plant.declared)
        if not matched and not any(fnmatchcase(machine, pattern.split("/")[0]) for machine in plant.unsure):
            place = (*where, "on", i) if (*where, "on", i) in reader.document.values else (*where, "on")
            reader.problem(place, f"{pattern!r} matches no tag and no record", did_you_mean(pattern, [*plant.declared, *plant.machines]))
        chosen |= matched
    for name in ("only_when", "trigger"):
        condition = getattr(options, name, None) if options else given.get(name)
        if isinstance(condition, str):
            _check_gate(reader, condition, (*where, name), {path.split("/")[0] for path in chosen} - plant.unsure, plant)
    load = getattr(options, "load", None)
    for machine in sorted({path.split("/")[0] for path in chosen} - plant.unsure):
        if load is not None and load not in plant.names(machine):
            reader.problem((*where, "load"), f"machine {machine!r} has no tag {load!r}", did_you_mean(load, plant.names(machine)))
    if options is None:
        return None
    watch = WatchSettings(
        name=options.name or f"{plugin.name}-{number}",
        plugin=plugin,
        options=options,
        tags=tuple(tag for tag in plant.tags if tag.path in chosen),
        records=tuple(record for record in plant.records if record.path in chosen),
    )
    if watch.tags or watch.records:
        _check_plugin(reader, watch, where, plant)
    return watch


def _check_plugin(reader: Reader, watch: WatchSettings, where: Path, plant: Plant) -> None:
    """What only the plugin knows, and only beside its tags."""
    context = DetectorContext(name=watch.name, tags=watch.tags, records=watch.records, machines=plant.machines)
    try:
        watch.plugin.check(watch.options, context)
    except ConfigError as exc:
        reader.problem(where, str(exc), key=True)


def _matching(pattern: str, known: frozenset[str]) -> set[str]:
    full = pattern if "/" in pattern else f"{pattern}/*"
    return {path for path in known if fnmatchcase(path, full)}


def _patterns(given: Any) -> list[str]:
    """Of a watch whose options are not valid, so that its patterns are judged all the same."""
    return [pattern for pattern in (given if isinstance(given, list) else [given]) if isinstance(pattern, str)]


def _check_gate(reader: Reader, text: str, place: Path, machines: set[str], plant: Plant) -> None:
    try:
        expression = compile_expression(text)
    except ValueError as exc:
        reader.problem(place, str(exc))
        return
    for machine in sorted(machines):
        names = plant.names(machine)
        unknown = sorted(expression.names - names)
        dashed = [name for name in sorted(names) if "-" in name and name in text]
        if unknown and dashed:
            reader.problem(place, f"a '-' means minus here, so {dashed[0]!r} is not read as a tag", "rename the tag with a _")
            continue
        for name in unknown:
            reader.problem(place, f"machine {machine!r} has no tag {name!r}", did_you_mean(name, names))
