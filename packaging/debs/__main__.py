"""Packages and bundles of this checkout: `make deb` builds them, `make deb-check` and `make deb-arm64-import` try them."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from debs.build import build
from debs.bundle import bundle
from debs.debian import missing
from debs.release import Release, epoch, version
from debs.run import run
from debs.split import names
from debs.target import MACHINES, RELEASES, ROOT, Target
from debs.tree import our_wheel
from debs.trial import airgapped, emulated, trial


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m debs", description=__doc__)
    parser.add_argument("what", choices=["build", "check", "emulate"])
    parser.add_argument("--suite", nargs="+", choices=RELEASES, default=list(RELEASES))
    parser.add_argument("--arch", nargs="+", choices=MACHINES, default=list(MACHINES))
    parser.add_argument("--package", nargs="+", choices=names(), default=names(), help="only these; no bundle is made then")
    parser.add_argument("--version", default=version(), help="instead of the one in gateway/__init__.py")
    parser.add_argument("--key", type=Path, help="Ed25519 private key (PEM) that signs the bundles' sums")
    parser.add_argument(
        "--without-debian", action="store_true", help="leave Debian's own packages out of the bundles; fetches nothing of them"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist/deb")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with _release(chosen.version) as release:
        {"build": _build, "check": _check, "emulate": _emulate}[chosen.what](chosen, release)


@contextmanager
def _release(version: str) -> Iterator[Release]:
    with tempfile.TemporaryDirectory(prefix="lineside-deb-") as folder:
        yield Release(version, epoch(), our_wheel(sys.executable, Path(folder)))


def _build(chosen: argparse.Namespace, release: Release) -> None:
    for target in (Target(suite, arch) for suite in chosen.suite for arch in chosen.arch):
        started = time.monotonic()
        debs = list(build(target, release, chosen.out, chosen.package))
        if chosen.package == names():
            debian = [] if chosen.without_debian else missing(target)
            path = bundle(debs, target, release, chosen.key, chosen.out, debian=debian)
            size, signed = f"{path.stat().st_size / 1e6:.1f} MB", "signed" if chosen.key else "not signed"
            sys.stdout.write(f"{path.name}: {size} with {len(debian)} packages of Debian, {signed}; {time.monotonic() - started:.0f} s\n")


def _check(chosen: argparse.Namespace, release: Release) -> None:
    """Each release of Debian installs them; the core of the first one, built again, is the same to the last byte."""
    here = run("dpkg", "--print-architecture").strip()
    for target in (Target(suite, here) for suite in chosen.suite):
        debs = list(build(target, release, chosen.out, names()))
        trial(target, debs)
        if not chosen.without_debian:
            airgapped(target, debs, release)
    target = Target(chosen.suite[0], here)
    with tempfile.TemporaryDirectory() as folder:
        (first,) = build(target, release, chosen.out, ["lineside"])
        (again,) = build(target, release, Path(folder), ["lineside"], anew=True)
        if first.read_bytes() != again.read_bytes():
            raise SystemExit(f"{first.name}: another build gives other bytes")
    sys.stdout.write(f"{first.name}: built again, the same bytes\n")


def _emulate(chosen: argparse.Namespace, release: Release) -> None:
    for target in (Target(suite, "arm64") for suite in chosen.suite):
        emulated(target, list(build(target, release, chosen.out, names())))


if __name__ == "__main__":
    main()
