"""Profiles that come with a driver: one file each in the folder it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway import registry
from gateway.config.yaml import parse
from gateway.contract import ConfigError


def shipped_profiles(source: Mapping[str, Any]) -> dict[str, Path]:
    """Name to file, of the drivers that a machine's `source` names."""
    found: dict[str, Path] = {}
    for key in source:
        if key in registry.names("sources"):
            try:
                folder = registry.source(key).profiles
            except ConfigError:
                continue  # its import fails, which is reported where the driver is chosen
            found |= {file.stem: file for file in sorted(folder.glob("*.yaml"))} if folder else {}
    return found


def read_profile(file: Path) -> Mapping[str, Any]:
    """What stands under ``profiles: <name of the file>:``."""
    profile: Mapping[str, Any] = parse(file.read_text(encoding="utf-8")).data["profiles"][file.stem]
    return profile
