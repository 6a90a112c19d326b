"""Finds plugins by entry point and loads only those the configuration names."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from importlib.util import find_spec
from typing import Literal, TypeAlias

from gateway.contract import ConfigError, DetectorPlugin, Plugin, SourcePlugin, UplinkPlugin
from gateway.installed import entries

Kind: TypeAlias = Literal["sources", "detectors", "uplinks"]
_OURS = "lineside"
_TYPES: dict[str, type[SourcePlugin] | type[DetectorPlugin] | type[UplinkPlugin]] = {
    "sources": SourcePlugin,
    "detectors": DetectorPlugin,
    "uplinks": UplinkPlugin,
}


def names(kind: Kind) -> list[str]:
    """Names of all installed plugins of a kind, without importing any."""
    return sorted({entry.name for entry in _entries(kind)})


def load(kind: Kind, name: str) -> Plugin:
    """Import one plugin.

    raises KeyError      no installed plugin has this name
    raises ConfigError   it cannot be imported, is not a plugin of this kind, or is there twice
    """
    found = [entry for entry in _entries(kind) if entry.name == name]
    if not found:
        raise KeyError(name)
    if len({entry.value for entry in found}) > 1:
        raise ConfigError(f"two installed packages bring {kind[:-1]} {name!r}: {', '.join(sorted(e.value for e in found))}")
    try:
        plugin = found[0].load()
    except (ImportError, AttributeError) as exc:
        raise ConfigError(f"{kind[:-1]} {name!r} cannot be imported: {exc}") from exc
    if not isinstance(plugin, _TYPES[kind]) or plugin.name != name:
        raise ConfigError(f"{found[0].value} is not the {kind[:-1]} plugin {name!r}")
    return plugin


def lacking(plugin: Plugin) -> list[str]:
    """Libraries it needs and that are not installed here."""
    return [name for name in plugin.needs if find_spec(name) is None] if isinstance(plugin, DetectorPlugin) else []


def source(name: str) -> SourcePlugin:
    plugin = load("sources", name)
    assert isinstance(plugin, SourcePlugin)  # noqa: S101  `load` checked it; this tells mypy
    return plugin


def detector(name: str) -> DetectorPlugin:
    plugin = load("detectors", name)
    assert isinstance(plugin, DetectorPlugin)  # noqa: S101
    return plugin


def uplink(name: str) -> UplinkPlugin:
    plugin = load("uplinks", name)
    assert isinstance(plugin, UplinkPlugin)  # noqa: S101
    return plugin


def isolated(name: str, wanted: bool | None) -> str | None:
    """The entry point of a source that runs in a process of its own; unless the engineer says else, what does not come with lineside."""
    (entry, *_) = [entry for entry in _entries("sources") if entry.name == name]
    ours = entry.dist is not None and entry.dist.name == _OURS
    return entry.value if (not ours if wanted is None else wanted) else None


def _entries(kind: Kind) -> tuple[EntryPoint, ...]:
    return entries(f"gateway.{kind}")
