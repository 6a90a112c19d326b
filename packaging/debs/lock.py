"""Reads a lock: what has to be there, in which version, and the hashes one of which its file must have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name


@dataclass(frozen=True, slots=True)
class Pin:
    name: str
    version: str
    hashes: frozenset[str]

    @property
    def text(self) -> str:
        """As pip reads it."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash=sha256:{value}" for value in sorted(self.hashes))])


def pins(lock: Path, environment: Mapping[str, str]) -> dict[str, Pin]:
    """By name, those that the environment wants; pip would ask the one it runs in."""
    found: dict[str, Pin] = {}
    for block in re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip()):
        requirement, *hashes = (part.strip(" \\") for part in block.split("\n"))
        pinned, _, marker = requirement.partition(" ; ")
        if marker and not Marker(marker).evaluate(dict(environment)):
            continue
        name, _, version = pinned.partition("==")
        sums = frozenset(text.removeprefix("--hash=sha256:") for text in hashes)
        if not version or not sums:
            raise SystemExit(f"{lock.name}: {requirement!r} is not pinned with hashes")
        found[canonicalize_name(name)] = Pin(canonicalize_name(name), version, sums)
    return found
