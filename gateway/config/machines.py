"""Machines with their profiles, sources, tags and records: from the file to the tag table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.config.document import Reader, Spot, dotted
from gateway.config.model import NAME, MachineModel
from gateway.config.plugins import pick_plugin
from gateway.config.problems import did_you_mean
from gateway.config.settings import SourceSettings
from gateway.config.tags_csv import BadCsv, read_tags
from gateway.config.yaml import Path as Place
from gateway.contract import Bearing, Machine, RecordSpec, SourcePlugin, Tag
from gateway.registry import names

Table = tuple[dict[str, Machine], tuple[SourceSettings, ...], tuple[Tag, ...]]


def read_machines(reader: Reader, folder: Path) -> Table:
    """Machines, sources, and the tag table in the order of the file; what is wrong is noted in `reader`."""
    data = reader.data
    profiles = data.get("profiles") if isinstance(data.get("profiles"), Mapping) else {}
    given = data.get("machines") if isinstance(data.get("machines"), Mapping) else {}
    for name, profile in profiles.items():
        _check_profile(reader, name, profile)
    machines: dict[str, Machine] = {}
    sources: list[SourceSettings] = []
    tags: list[Tag] = []
    for name, options in given.items():
        one = _OneMachine(reader, folder, name, options or {}, profiles)
        machines[name] = one.machine()
        source = one.source(len(tags))
        if source is not None:
            sources.append(source)
            tags += source.tags
    return machines, tuple(sources), tuple(tags)


def _check_profile(reader: Reader, name: str, profile: Any) -> None:
    known = {"tags", "records", "bearing", *names("sources")}
    for key in profile if isinstance(profile, Mapping) else ():
        if key not in known:
            reader.problem(("profiles", name, key), "unknown option", did_you_mean(key, known), key=True)


class _OneMachine:
    def __init__(self, reader: Reader, folder: Path, name: str, options: Any, profiles: Mapping[str, Any]) -> None:
        self._reader, self._folder, self._name = reader, folder, name
        self._where: Place = ("machines", name)
        self._options: Mapping[str, Any] = options if isinstance(options, Mapping) else {}
        self._model = reader.shape(MachineModel, options, self._where)
        wanted = self._options.get("profile")
        self._profile: Mapping[str, Any] = {}
        self._profile_where: Place = ("profiles", str(wanted))
        if isinstance(wanted, str):
            if isinstance(profiles.get(wanted), Mapping):
                self._profile = profiles[wanted]
            else:
                reader.problem((*self._where, "profile"), f"there is no profile {wanted!r}", did_you_mean(wanted, profiles))

    def machine(self) -> Machine:
        model = self._model
        bearing = model.bearing if model else None
        if bearing is None and "bearing" in self._profile and "bearing" not in self._options:
            bearing = self._reader.validate(Bearing, self._profile["bearing"], Spot.of((*self._profile_where, "bearing")))
        return Machine(name=self._name, path=model.path if model else "", asset=model.asset if model else "", bearing=bearing)

    def source(self, first_index: int) -> SourceSettings | None:
        """The source with its part of the tag table, which begins at `first_index`."""
        given = self._part(self._options, "source")
        if not given:
            if self._options.get("tags") or self._options.get("tags_from"):
                self._reader.problem((*self._where, "tags"), "tags without a source", "add source: {modbus: ...}", key=True)
            return None
        plugin = pick_plugin(self._reader, "sources", given, (*self._where, "source"))
        if plugin is None:
            return None
        merged, spot = self._merge(self._part(self._profile, plugin.name), (*self._profile_where, plugin.name), given, "source")
        options = self._reader.validate(plugin.options, merged, spot)
        tags = tuple(self._tags(plugin, first_index))
        records = tuple(self._records(plugin))
        self._check_bearing({tag.name for tag in tags})
        if options is None:
            return None
        return SourceSettings(machine=self._name, plugin=plugin, options=options, tags=tags, records=records)

    def _merge(self, defaults: Mapping[str, Any], from_where: Place, own: Mapping[str, Any], *at: str) -> tuple[dict[str, Any], Spot]:
        elsewhere = {key: (*from_where, key) for key in defaults if key not in own}
        return {**defaults, **own}, Spot((*self._where, *at), elsewhere)

    def _tags(self, plugin: SourcePlugin, index: int) -> Iterator[Tag]:
        seen: set[str] = set()
        for name, merged, spot in self._tag_options():
            if name in seen:
                self._twice(name, spot)
                continue
            seen.add(name)
            options = self._reader.validate(plugin.tag, merged, spot)
            if options is not None:
                yield Tag(index, self._name, name, options)
                index += 1

    def _tag_options(self) -> Iterator[tuple[str, dict[str, Any], Spot]]:
        defaults, own = self._part(self._profile, "tags"), self._part(self._options, "tags")
        for name in [*defaults, *(name for name in own if name not in defaults)]:
            merged, spot = self._merge(
                self._part(defaults, name), (*self._profile_where, "tags", name), self._part(own, name), "tags", name
            )
            if name not in own:
                spot = Spot((*self._profile_where, "tags", name))
            yield name, merged, spot
        yield from self._csv()

    def _csv(self) -> Iterator[tuple[str, dict[str, Any], Spot]]:
        file = self._options.get("tags_from")
        if not isinstance(file, str):
            return
        path = self._folder / file
        try:
            rows = read_tags(path)
        except OSError as exc:
            self._reader.problem((*self._where, "tags_from"), f"{file} cannot be read: {exc.strerror}")
            return
        except BadCsv as exc:
            self._reader.csv_problem(str(path), exc.line, dotted(self._where), exc.problem)
            return
        for row in rows:
            where = (*self._where, "tags", row.name)
            if not re.match(NAME, row.name):
                self._reader.csv_problem(str(path), row.line, dotted(where), f"{row.name!r} is no tag name; use a-z, 0-9, _ and -")
                continue
            yield row.name, row.options, Spot(where, csv=(str(path), row.line))

    def _twice(self, name: str, spot: Spot) -> None:
        message = f"a second tag named {name!r} in machine {self._name!r}"
        if spot.csv:
            self._reader.csv_problem(*spot.csv, dotted(spot.base), message)
        else:
            self._reader.problem(spot.base, message, key=True)

    def _records(self, plugin: SourcePlugin) -> Iterator[RecordSpec]:
        defaults, own = self._part(self._profile, "records"), self._part(self._options, "records")
        if (defaults or own) and plugin.record is None:
            self._reader.problem((*self._where, "records"), f"the driver {plugin.name} takes no records", key=True)
            return
        for name in [*defaults, *(name for name in own if name not in defaults)]:
            merged, spot = self._merge(
                self._part(defaults, name), (*self._profile_where, "records", name), self._part(own, name), "records", name
            )
            options = self._reader.validate(plugin.record, merged, spot) if plugin.record else None
            if options is not None:
                yield RecordSpec(self._name, name, options)

    def _check_bearing(self, tag_names: set[str]) -> None:
        given = self._part(self._options, "bearing") or self._part(self._profile, "bearing")
        speed = given.get("speed")
        if isinstance(speed, str) and speed not in tag_names:
            where = (*self._where, "bearing", "speed") if "bearing" in self._options else (*self._profile_where, "bearing", "speed")
            self._reader.problem(where, f"machine {self._name!r} has no tag {speed!r}", did_you_mean(speed, tag_names))

    @staticmethod
    def _part(options: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        part = options.get(key)
        return part if isinstance(part, Mapping) else {}
