"""Reads a configuration: shape, then plugins, then what refers to what. All errors at once, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.config.document import Reader, Spot
from gateway.config.machines import read_machines
from gateway.config.model import BufferModel, RootModel
from gateway.config.plugins import pick_plugin
from gateway.config.problems import ConfigErrors, Problem
from gateway.config.secrets import Secrets, references
from gateway.config.settings import (
    BufferSettings,
    DestinationSettings,
    IncidentSettings,
    Settings,
    Site,
    WebSettings,
)
from gateway.config.watches import read_watches
from gateway.config.yaml import NotYaml, parse
from gateway.contract import ConfigError, Filter


def load(path: Path, *, secrets: bool = True) -> Settings:
    """Touches no network. `secrets=False` does not look whether the secrets are there.

    raises ConfigErrors
    """
    reader = _open(path)
    root = reader.shape(RootModel, reader.document.data, ())
    table = reader.data if isinstance(reader.data, Mapping) else {}
    machines, sources, tags = read_machines(reader, path.parent)
    records = tuple(record for source in sources for record in source.records)
    watches = read_watches(reader, tags, records, machines)
    destinations, buffer = _deliver(reader, table.get("deliver"))
    if secrets:
        _check_secrets(reader, path.parent)
    if root is None or reader.problems:
        raise ConfigErrors(reader.problems)
    incidents, gateway = root.incidents, root.gateway
    return Settings(
        path=path,
        site=Site(enterprise=root.site.enterprise, site=root.site.site, gateway=root.site.gateway, timezone=ZoneInfo(root.site.timezone)),
        machines=machines,
        tags=tags,
        sources=sources,
        watches=watches,
        destinations=destinations,
        incidents=IncidentSettings(
            hold=incidents.hold,
            clear_after=incidents.clear_after,
            before=incidents.evidence.before,
            after=incidents.evidence.after,
            evidence_kilobytes=incidents.evidence.max_kilobytes,
        ),
        buffer=BufferSettings(max_megabytes=buffer.max_megabytes, keep_events_days=buffer.keep_events_days),
        web=None if gateway.page == "off" else WebSettings(host=gateway.page.host, port=gateway.page.port),
        log_level=gateway.log_level,
        state_dir=Path(gateway.state_dir),
        secrets=tuple(sorted({ref.secret for _, _, ref in reader.secrets})),
    )


def _open(path: Path) -> Reader:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as exc:
        raise ConfigErrors([Problem(str(path), 1, 1, "", "there is no such file")]) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigErrors([Problem(str(path), 1, 1, "", f"cannot be read: {exc}")]) from exc
    try:
        document = parse(text)
    except NotYaml as exc:
        line, column = exc.position
        lines = text.splitlines()
        excerpt = lines[line - 1] if line <= len(lines) else ""
        hint = "YAML wants spaces, not tabs" if "\t" in excerpt else ""
        raise ConfigErrors([Problem(str(path), line, column, "", f"not YAML: {exc.problem}", hint, excerpt)]) from exc
    if not isinstance(document.data, dict):
        raise ConfigErrors([Problem(str(path), 1, 1, "", "must be a mapping that begins with version: 1")])
    return Reader(str(path), text, document)


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
        model = reader.validate(picked.options, dict(options), Spot.of(where))
        if model is not None:
            found.append(DestinationSettings(name=name, plugin=picked, options=model, when=model.when or Filter()))
    buffer = reader.validate(BufferModel, given.get("buffer") or {}, Spot.of(("deliver", "buffer")))
    return tuple(found), buffer if isinstance(buffer, BufferModel) else BufferModel()


def _check_secrets(reader: Reader, folder: Path) -> None:
    lookup = Secrets(folder)
    for model, spot in reader.validated:
        for option, ref in references(model):
            reader.secrets.append((option, spot, ref))
            try:
                lookup(ref)
            except ConfigError as exc:
                reader.problem(spot.path((option,)), str(exc))
