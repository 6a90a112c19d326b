"""Which wheel goes into which package."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from debs.target import ROOT, Target
from debs.wheels import Wheel

ANALYTICS = frozenset({"river", "scipy"})
"""What the core can do without: two detectors name it, and it is larger than all the rest."""
LEFT_OUT = frozenset({"pip"})
"""sqlite-utils names it for a command of its own; a gateway must not install packages."""


@dataclass(frozen=True, slots=True)
class Package:
    """`roots`: requirements, of which it holds all that the packages before it do not. `megabytes`: no .deb may be larger."""

    name: str
    roots: tuple[str, ...]
    megabytes: int


def packages() -> tuple[Package, ...]:
    """In the order in which they depend on each other; their sizes together are 120 MB at most."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    core = [text for text in project["dependencies"] if canonicalize_name(Requirement(text).name) not in ANALYTICS]
    return (
        Package("lineside", (*core, *extras["speed"]), 45),
        Package("lineside-analytics", tuple(sorted(ANALYTICS)), 65),
        Package("lineside-demo", tuple(extras["demo"]), 10),
    )


def names() -> list[str]:
    return [package.name for package in packages()]


def split(chosen: Iterable[Package], wheels: Mapping[str, Wheel], target: Target) -> dict[str, list[Wheel]]:
    """By name of the package. Raises SystemExit when one of its requirements is not in the lock."""
    taken: set[str] = set()
    shares = {}
    for package in chosen:
        needed = set()
        for root in package.roots:
            needed |= _closure(Requirement(root), wheels, target, frozenset())
        shares[package.name] = [wheels[name] for name in sorted(needed - taken)]
        taken |= needed
    return shares


def _closure(wanted: Requirement, wheels: Mapping[str, Wheel], target: Target, above: frozenset[tuple[str, str]]) -> set[str]:
    name = canonicalize_name(wanted.name)
    if name in LEFT_OUT:
        return set()
    if name not in wheels:
        raise SystemExit(f"no lock holds {name}; make lock")
    extras = {"", *wanted.extras}
    seen = above | {(name, extra) for extra in extras}
    found: set[str] = {name}
    for requirement in _requires(wheels[name], extras, target):
        if not {(canonicalize_name(requirement.name), extra) for extra in {"", *requirement.extras}} <= above:
            found |= _closure(requirement, wheels, target, seen)
    return found


def _requires(wheel: Wheel, extras: Iterable[str], target: Target) -> Iterator[Requirement]:
    for text in wheel.metadata.get_all("Requires-Dist", []):
        requirement = Requirement(text)
        if requirement.marker is None or any(requirement.marker.evaluate({**target.environment, "extra": extra}) for extra in extras):
            yield requirement
