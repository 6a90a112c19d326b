"""Reads a configuration: shape, then plugins, then what refers to what. All errors at once, each with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.config import signature
from gateway.config.document import Reader, Spot
from gateway.config.machines import Plant, read_machines
from gateway.config.model import BufferModel, RootModel
from gateway.config.nodes import NotYaml
from gateway.config.page import check_tls, read_page
from gateway.config.plugins import pick_plugin
from gateway.config.problems import ConfigErrors, Problem, masked
from gateway.config.secrets import Secrets, references
from gateway.config.settings import (
    BufferSettings,
    ClockSettings,
    DestinationSettings,
    IncidentSettings,
    Settings,
    Site,
    SourceSettings,
)
from gateway.config.watches import read_watches
from gateway.config.yaml import SECRET, parse
from gateway.contract import ConfigError, Filter


def load(path: Path, *, secrets: bool = True, signed: bool = True) -> Settings:
    """Touches no network.

    secrets   False: does not look whether the secrets are there
    signed    False: takes it without the signature this gateway may need, for who is about to sign it
    raises ConfigErrors
    """
    reader = _open(path, signed=signed)
    root = reader.shape(RootModel, reader.data, ())
    plant = read_machines(reader, path.parent)
    watches = read_watches(reader, plant)
    destinations, buffer = _deliver(reader, reader.data.get("deliver"))
    page = read_page(reader, path.parent)
    _check_page(reader, plant)
    _check_claims(reader, plant)
    _check_shared(reader, plant)
    values: dict[str, str] = {}
    if secrets:
        values = _check_secrets(reader, path.parent)
        check_tls(reader, page, Secrets(path.parent))
    errors = reader.errors
    if root is None or errors.problems:
        raise errors
    return _settings(
        root,
        path=path,
        machines=plant.machines,
        tags=plant.tags,
        sources=tuple(replace(source, secrets=_stand_for(_models(source), values)) for source in plant.sources),
        watches=watches,
        destinations=tuple(replace(each, secrets=_stand_for([each.options], values)) for each in destinations),
        buffer=BufferSettings(**buffer.model_dump()),
        web=page,
        files=reader.files,
        signed_by=reader.signed.key if reader.signed is not None else "",
        secrets=tuple(sorted({ref.secret for model, _ in reader.validated for _, ref in references(model)})),
    )


def _settings(root: RootModel, **parts: Any) -> Settings:
    site, incidents, gateway = root.site, root.incidents, root.gateway
    return Settings(
        site=Site(enterprise=site.enterprise, site=site.site, gateway=site.gateway, timezone=ZoneInfo(site.timezone)),
        incidents=IncidentSettings(
            hold=incidents.hold,
            clear_after=incidents.clear_after,
            before=incidents.evidence.before,
            after=incidents.evidence.after,
            evidence_kilobytes=incidents.evidence.max_kilobytes,
            evidence_megabytes_per_minute=incidents.evidence.max_megabytes_per_minute,
            keep_blocks_days=incidents.evidence.keep_blocks_days,
            blocks_megabytes=incidents.evidence.blocks_megabytes,
        ),
        clock=ClockSettings(trust=gateway.clock.trust, wait=gateway.clock.wait),
        log_level=gateway.log_level,
        state_dir=Path(gateway.state_dir),
        disk_endurance_terabytes=gateway.disk_endurance_terabytes,
        **parts,
    )


def _open(path: Path, *, signed: bool) -> Reader:
    try:
        raw = path.read_bytes()
    except FileNotFoundError as exc:
        raise _unusable(path, "there is no such file") from exc
    except OSError as exc:
        raise _unusable(path, f"cannot be read: {exc.strerror}") from exc
    seal = signature.wanted(path) if signed else None
    if seal is not None and (why := seal.problem(path.name, raw)) is not None:
        raise _unusable(path, why, f"sign it again: lineside config sign {path.name} --key KEY")
    reader = _read(path, raw)
    reader.took(path.name, raw)
    reader.signed = seal
    return reader


def _read(path: Path, raw: bytes) -> Reader:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise _unusable(path, "is not UTF-8", "save it as UTF-8", line=raw[: exc.start].count(b"\n") + 1) from exc
    try:
        document = parse(text)
    except NotYaml as exc:
        line, column = exc.position
        lines = text.splitlines()
        excerpt = lines[line - 1] if line <= len(lines) and not SECRET.search(lines[line - 1]) else ""
        hint = "YAML wants spaces, not tabs" if "\t" in excerpt else ""
        raise ConfigErrors([Problem(str(path), line, column, "", f"not YAML: {exc.problem}", hint, masked(excerpt, ()))]) from exc
    if not isinstance(document.data, dict):
        what = "is empty" if document.data is None else "must be a mapping of options"
        raise _unusable(path, what, "begin with version: 1, then site: {enterprise: ..., site: ..., gateway: ...}")
    return Reader(str(path), text, document)


def _unusable(path: Path, message: str, hint: str = "", *, line: int = 1) -> ConfigErrors:
    return ConfigErrors([Problem(str(path), line, 1, "", message, hint)])


def _deliver(reader: Reader, data: Any) -> tuple[tuple[DestinationSettings, ...], BufferModel]:
    found = []
    given = data if isinstance(data, Mapping) else {}
    for name, options in given.items():
        where = ("deliver", name)
        if name == "buffer" or not isinstance(options, Mapping):
            continue
        picked = pick_plugin(reader, "uplinks", options, where)
        if picked is None:
            continue
        model = reader.validate(picked.options, dict(options), Spot(where))
        if model is not None:
            found.append(DestinationSettings(name=name, plugin=picked, options=model, when=model.when or Filter()))
    _check_fallbacks(reader, found)
    buffer = reader.validate(BufferModel, given.get("buffer") or {}, Spot(("deliver", "buffer")))
    return tuple(found), buffer if isinstance(buffer, BufferModel) else BufferModel()


def _check_fallbacks(reader: Reader, found: Sequence[DestinationSettings]) -> None:
    first = {destination.name: destination.options.fallback_for for destination in found}
    for name, wanted in first.items():
        where = ("deliver", name, "fallback_for")
        if wanted is None:
            continue
        if wanted not in first or wanted == name:
            others = ", ".join(sorted(set(first) - {name})) or "none"
            reader.problem(where, f"there is no other destination {wanted!r}", f"known are {others}")
        elif first[wanted] is not None:
            reader.problem(where, f"{wanted!r} is a fallback itself", "name the destination that gets the events")
        elif list(first.values()).count(wanted) > 1:
            reader.problem(where, f"{wanted!r} has two fallbacks", "keep one")


def _check_page(reader: Reader, plant: Plant) -> None:
    gateway = reader.data.get("gateway")
    receiving = [source for source in plant.sources if source.plugin.receives]
    if receiving and isinstance(gateway, Mapping) and gateway.get("page") == "off":
        message = f"the source {receiving[0].plugin.name} of {receiving[0].machine} takes what is posted to the page, which is off"
        reader.problem(("gateway", "page"), message, "write for example page: {host: 0.0.0.0, port: 8080}")


def _check_claims(reader: Reader, plant: Plant) -> None:
    first: dict[tuple[str, str], str] = {}
    for source in plant.sources:
        claim = source.plugin.claim(source.options)
        if claim is None:
            continue
        option, words = claim
        owner = first.setdefault((source.plugin.name, words), source.machine)
        if owner != source.machine:
            place = reader.place(Spot(("machines", owner, "source", option)))
            message = f"{words} is that of machine {owner!r} already, in {place}; only one source can have it"
            reader.problem(("machines", source.machine, "source", option), message)


def _check_shared(reader: Reader, plant: Plant) -> None:
    first: dict[tuple[str, str], tuple[str, Mapping[str, object]]] = {}
    for source in plant.sources:
        shared = source.plugin.shares(source.options) if source.isolated is None else None
        if shared is None:
            continue
        what, terms = shared
        owner, agreed = first.setdefault((source.plugin.name, what), (source.machine, terms))
        for option in [option for option, value in terms.items() if value != agreed[option]]:
            place = reader.place(Spot(("machines", owner, "source", option)))
            message = f"{what} is shared with machine {owner!r}, which has another {option}, in {place}"
            reader.problem(("machines", source.machine, "source", option), message, "write the same in both")


def _check_secrets(reader: Reader, folder: Path) -> dict[str, str]:
    """The values of those that are there, by name."""
    lookup, values = Secrets(folder), dict[str, str]()
    problems: dict[tuple[Any, ...], Any] = {}
    for model, spot in reader.validated:
        for option, ref in references(model):
            try:
                values[ref.secret] = lookup(ref)
            except ConfigError as exc:
                path, told = spot.path((option,)), (spot.base, str(exc))
                if told not in problems or path in reader.document.values:  # a short form stands for options that are not written
                    problems[told] = path
    for (_, why), path in problems.items():
        reader.problem(path, why)
    return values


def _models(source: SourceSettings) -> list[Any]:
    return [source.options, *(tag.options for tag in source.tags), *(record.options for record in source.records)]


def _stand_for(models: Sequence[Any], values: Mapping[str, str]) -> int:
    """Python salts the hashes of text, so that it tells nobody anything of the values."""
    return hash(tuple(values.get(ref.secret) for model in models for _, ref in references(model)))
