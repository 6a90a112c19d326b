"""Machines with their profiles, sources, tags and records: from the file to the tag table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import registry
from gateway.config.document import Reader, Spot
from gateway.config.explain import name_like, option_names
from gateway.config.model import NAME, MachineModel
from gateway.config.plugins import pick_plugin
from gateway.config.problems import did_you_mean
from gateway.config.settings import SourceSettings
from gateway.config.shipped import read_profile, shipped_profiles
from gateway.config.tags_csv import read_tags
from gateway.config.yaml import Path as Place
from gateway.contract import Bearing, Machine, RecordSpec, SourcePlugin, Tag

_OF_A_PROFILE = ("tags", "records", "bearing")


@dataclass(frozen=True)
class Plant:
    """What the file says of the machines.

    tags       the tag table, in the order of the file
    declared   ``machine/tag`` and ``machine/record`` of everything named, also of what has errors: whoever refers to
               one of them is not wrong
    unsure     machines whose list of tags could not be read to its end
    """

    machines: dict[str, Machine]
    sources: tuple[SourceSettings, ...]
    tags: tuple[Tag, ...]
    declared: frozenset[str]
    unsure: frozenset[str]

    @property
    def records(self) -> tuple[RecordSpec, ...]:
        return tuple(record for source in self.sources for record in source.records)

    def names(self, machine: str) -> set[str]:
        """Of the machine's tags and records."""
        return {path.split("/", 1)[1] for path in self.declared if path.split("/", 1)[0] == machine}


def read_machines(reader: Reader, folder: Path) -> Plant:
    """What is wrong is noted in `reader`."""
    profiles, given = _mapping(reader.data, "profiles"), _mapping(reader.data, "machines")
    for name, profile in profiles.items():
        _check_profile(reader, name, profile)
    machines: dict[str, Machine] = {}
    sources: list[SourceSettings] = []
    tags: list[Tag] = []
    declared: set[str] = set()
    unsure: set[str] = set()
    for name, options in given.items():
        one = _OneMachine(reader, folder, name, {} if options is None else options, profiles)
        source = one.source(len(tags))
        machines[name] = one.machine()
        declared |= {f"{name}/{item}" for item in one.declared}
        unsure |= set() if one.complete else {name}
        if source is not None:
            sources.append(source)
            tags += source.tags
    return Plant(machines, tuple(sources), tuple(tags), frozenset(declared), frozenset(unsure))


def _check_profile(reader: Reader, name: str, profile: Any) -> None:
    known = {*_OF_A_PROFILE, *registry.names("sources")}
    for key in profile if isinstance(profile, Mapping) else ():
        if key not in known:
            reader.problem(("profiles", name, key), "unknown option", did_you_mean(key, known), key=True)


class _OneMachine:
    """`declared` and `complete` are known after `source`."""

    def __init__(self, reader: Reader, folder: Path, name: str, options: Any, profiles: Mapping[str, Any]) -> None:
        self._reader, self._folder, self._name = reader, folder, name
        self._where: Place = ("machines", name)
        self._options: Mapping[str, Any] = options if isinstance(options, Mapping) else {}
        self._model = reader.shape(MachineModel, options, self._where)
        wanted = self._options.get("profile")
        self._profile: Mapping[str, Any] = {}
        self._profile_where: Place = ("profiles", str(wanted))
        self.complete = True
        self.declared: set[str] = set()
        if isinstance(wanted, str):
            shipped = {} if wanted in profiles else shipped_profiles(_mapping(self._options, "source"))
            self._profile = _mapping(profiles, wanted)
            if wanted in shipped:
                self._profile, self._profile_where = read_profile(shipped[wanted]), (*self._where, "profile")
            elif wanted not in profiles:
                reader.problem((*self._where, "profile"), f"there is no profile {wanted!r}", did_you_mean(wanted, {*profiles, *shipped}))
                self.complete = False

    def machine(self) -> Machine:
        model = self._model
        bearing = model.bearing if model else None
        if bearing is None and "bearing" in self._profile and "bearing" not in self._options:
            bearing = self._reader.validate(Bearing, self._profile["bearing"], Spot((*self._profile_where, "bearing")))
        self._check_bearing()
        return Machine(name=self._name, path=model.path if model else "", asset=model.asset if model else "", bearing=bearing)

    def source(self, first_index: int) -> SourceSettings | None:
        """The source with its part of the tag table, which begins at `first_index`."""
        given = _mapping(self._options, "source")
        plugin = pick_plugin(self._reader, "sources", given, (*self._where, "source")) if given else None
        if plugin is None:
            self._without_source()
            return None
        merged, spot = self._merge(_mapping(self._profile, plugin.name), (*self._profile_where, plugin.name), given, "source")
        options = self._reader.validate(plugin.options, merged, spot)
        tags = tuple(self._tags(plugin, options, first_index))
        records = tuple(self._records(plugin))
        if options is None:
            return None
        isolated = registry.isolated(plugin.name, options.isolated)
        return SourceSettings(machine=self._name, plugin=plugin, options=options, tags=tags, records=records, isolated=isolated)

    def _without_source(self) -> None:
        for part in ("tags", "records"):
            self.declared |= {*_mapping(self._profile, part), *_mapping(self._options, part)}
        self.complete = self.complete and "tags_from" not in self._options
        if self._options.get("source", {}) != {}:
            return  # it is there but unusable, which is reported already
        for key in ("tags", "tags_from", "records", "profile"):
            if self._options.get(key):
                hint = "add for example source: {modbus: 'tcp://10.1.4.7:502'}"
                self._reader.problem((*self._where, key), f"{key} without a source", hint, key=True)
                return

    def _merge(self, defaults: Mapping[str, Any], from_where: Place, own: Mapping[str, Any], *at: str) -> tuple[dict[str, Any], Spot]:
        elsewhere = {key: (*from_where, key) for key in defaults if key not in own}
        return {**defaults, **own}, Spot((*self._where, *at), elsewhere)

    def _tags(self, plugin: SourcePlugin, source: Any, index: int) -> Iterator[Tag]:
        seen: dict[str, Spot] = {}
        context = {"source": source} if source is not None else None
        for name, merged, spot in (*self._both("tags"), *self._csv(plugin)):
            if name in seen:
                self._twice(name, spot, seen[name])
                continue
            seen[name] = spot
            if spot.csv is None and not isinstance(_mapping(self._options, "tags").get(name, {}), Mapping | None):
                continue  # no mapping: its shape is reported already
            options = self._reader.validate(plugin.tag, merged, spot, context)
            if options is not None:
                if options.writable is not None and not plugin.writes:
                    self._never_written(plugin, spot)
                yield Tag(index, self._name, name, options)
                index += 1
        self.declared |= set(seen)

    def _never_written(self, plugin: SourcePlugin, spot: Spot) -> None:
        message, hint = f"the driver {plugin.name} never writes", "leave writable out"
        if spot.csv:
            self._reader.csv_problem(spot.csv, spot.base, message, hint, cell="writable")
        else:
            self._reader.problem(spot.path(("writable",)), message, hint, key=True)

    def _both(self, part: str) -> Iterator[tuple[str, dict[str, Any], Spot]]:
        """Tags or records: of the profile, with what the machine adds to them, then the machine's own."""
        defaults, own = _mapping(self._profile, part), _mapping(self._options, part)
        for name in [*defaults, *(name for name in own if name not in defaults)]:
            from_where = (*self._profile_where, part, name)
            if name not in own:
                yield name, dict(_mapping(defaults, name)), Spot(from_where)
            else:
                merged, spot = self._merge(_mapping(defaults, name), from_where, _mapping(own, name), part, name)
                yield name, merged, spot

    def _csv(self, plugin: SourcePlugin) -> Iterator[tuple[str, dict[str, Any], Spot]]:
        file = self._options.get("tags_from")
        if not isinstance(file, str):
            return
        place = self._folder / file
        try:
            raw = place.read_bytes()
        except OSError as exc:
            self._reader.problem((*self._where, "tags_from"), f"{file!r} cannot be read: {exc.strerror}")
            self.complete = False
            return
        if (why := self._reader.took(file, raw)) is not None:
            self._reader.problem((*self._where, "tags_from"), f"{file!r} {why}", "sign the configuration again: lineside config sign")
            self.complete = False
            return
        rows, problems = read_tags(place, raw, option_names(plugin.tag))
        for problem in problems:
            self._reader.csv_problem(problem.at, self._where, problem.message, problem.hint, cell=problem.cell)
        self.complete = self.complete and not problems
        for row in rows:
            where = (*self._where, "tags", row.name)
            if re.match(NAME, row.name):
                yield row.name, row.options, Spot(where, csv=row.at)
            elif row.name:
                self._reader.csv_problem(row.at, self._where, f"{row.name!r} is no name", name_like(row.name), cell="name")
            else:
                self._reader.csv_problem(row.at, self._where, "a tag without a name")

    def _twice(self, name: str, spot: Spot, first: Spot) -> None:
        message = f"a second tag {name!r} in this machine, the first is in {self._reader.place(first)}"
        if spot.csv:
            self._reader.csv_problem(spot.csv, spot.base, message, cell="name")
        else:
            self._reader.problem(spot.base, message, key=True)

    def _records(self, plugin: SourcePlugin) -> Iterator[RecordSpec]:
        for name, merged, spot in self._both("records"):
            if plugin.record is None:
                self._reader.problem(spot.base[:-1], f"the driver {plugin.name} takes no records", key=True)
                return
            if name in self.declared:
                self._reader.problem(spot.base, f"a tag of this machine is named {name!r} too", key=True)
            self.declared.add(name)
            options = self._reader.validate(plugin.record, merged, spot)
            if options is not None:
                yield RecordSpec(self._name, name, options)

    def _check_bearing(self) -> None:
        own = "bearing" in self._options
        speed = _mapping(self._options if own else self._profile, "bearing").get("speed")
        if isinstance(speed, str) and self.complete and speed not in self.declared:
            where = (*(self._where if own else self._profile_where), "bearing", "speed")
            self._reader.problem(where, f"machine {self._name!r} has no tag {speed!r}", did_you_mean(speed, self.declared))


def _mapping(options: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part that should be a mapping; what it is instead is reported where its shape is judged."""
    part = options.get(key)
    return part if isinstance(part, Mapping) else {}
