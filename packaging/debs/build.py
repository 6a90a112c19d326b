"""Builds the packages of one target."""

from __future__ import annotations

import configparser
import hashlib
import shutil
import sys
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from debs.control import write_control
from debs.lock import pins
from debs.pack import pack
from debs.release import MAINTAINER, Release
from debs.sbom import licence_of, sbom
from debs.split import LEFT_OUT, Package, packages, split
from debs.target import BUILD, ROOT, Target
from debs.tree import lay_out
from debs.wheels import Wheel, fetch

TOGETHER_MEGABYTES = 120
_MEGABYTE = 1_000_000


def build(target: Target, release: Release, out: Path, chosen: Container[str], *, anew: bool = False) -> Iterator[Path]:
    """One .deb after the other. Raises SystemExit for one that is larger than it may be.

    chosen   names of packages
    anew     build it although the same inputs have been built before
    """
    shares = split(packages(), wheels(target), target)
    total = 0
    for package in (each for each in packages() if each.name in chosen):
        share, deb = shares[package.name], out / f"{package.name}_{release.debian_version(target)}_{target.arch}.deb"
        kept = BUILD / "debs" / f"{package.name}-{_inputs(package, share, target, release)}.deb"
        if anew or not kept.exists():
            _one(package, share, target, release, kept)
        shutil.copyfile(kept, deb)
        size = deb.stat().st_size
        total += size
        sys.stdout.write(f"{deb.name}: {size / _MEGABYTE:.1f} MB (at most {package.megabytes})\n")
        if size > package.megabytes * _MEGABYTE or total > TOGETHER_MEGABYTES * _MEGABYTE:
            raise SystemExit(f"{deb.name} is too large")
        yield deb


def _inputs(package: Package, share: Iterable[Wheel], target: Target, release: Release) -> str:
    """A digest of all that decides what the package will be."""
    ours = sorted(path for path in (ROOT / "packaging").rglob("*") if path.is_file() and path.suffix != ".pyc")
    if package.name == "lineside":
        ours += [release.wheel, ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.*"))]
    digest = hashlib.sha256(f"{target} {release.version} {release.epoch}".encode())
    for content in [*(path.read_bytes() for path in ours), *(wheel.sha256.encode() for wheel in share)]:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def wheels(target: Target) -> dict[str, Wheel]:
    """All that the locks name, but what only a build needs."""
    both = pins(ROOT / "locks/demo.lock", target.environment) | pins(ROOT / "locks/gateway.lock", target.environment)
    tools = LEFT_OUT | {"editables", "hatchling", "pathspec", "setuptools", "tomlkit", "trove-classifiers"}
    return fetch(target, {name: pin for name, pin in both.items() if name not in tools})


def _one(package: Package, share: list[Wheel], target: Target, release: Release, deb: Path) -> None:
    tree = BUILD / "trees" / str(target) / package.name
    shutil.rmtree(tree, ignore_errors=True)
    lay_out(tree, package, share, target, release)
    version, documents = release.debian_version(target), tree / "usr/share/doc" / package.name
    (documents / "sbom.cdx.json").write_text(sbom(package.name, version, "Apache-2.0", share, release.epoch))
    listed = "".join(f"{wheel.name} {wheel.version}: {licence_of(wheel)}\n" for wheel in share)
    (documents / "copyright").write_text((ROOT / "packaging/copyright").read_text() + listed)
    fields = {"version": version, "arch": target.arch, "maintainer": MAINTAINER, "python": target.python}
    write_control(tree, package.name, {**fields, "python_after": target.python_after, **_units(tree)})
    pack(tree, deb, release.epoch)


def _units(tree: Path) -> dict[str, str]:
    """What the preset decides about: units and timers, but no templates."""
    found = []
    for path in sorted((tree / "usr/lib/systemd/system").glob("*")):
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.read(path)
        if parser.has_section("Install") and "@" not in path.name:
            found.append(path.name)
    return {"units": " ".join(found)}
