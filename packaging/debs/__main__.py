"""`make deb`: packages and bundles of this checkout in dist/deb. `make deb-check` tries them."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from debs.build import build
from debs.bundle import bundle
from debs.release import Release, epoch, version
from debs.split import names
from debs.target import MACHINES, RELEASES, ROOT, Target
from debs.tree import our_wheel


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m debs", description=__doc__)
    parser.add_argument("--suite", nargs="+", choices=RELEASES, default=list(RELEASES))
    parser.add_argument("--arch", nargs="+", choices=MACHINES, default=list(MACHINES))
    parser.add_argument("--package", nargs="+", choices=names(), default=names(), help="only these; no bundle is made then")
    parser.add_argument("--version", default=version(), help="instead of the one in gateway/__init__.py")
    parser.add_argument("--key", type=Path, help="Ed25519 private key (PEM) that signs the bundles' sums")
    parser.add_argument("--out", type=Path, default=ROOT / "dist/deb")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lineside-deb-") as folder:
        release = Release(chosen.version, epoch(), our_wheel(sys.executable, Path(folder)))
        for target in (Target(suite, arch) for suite in chosen.suite for arch in chosen.arch):
            started = time.monotonic()
            debs = list(build(target, release, chosen.out, chosen.package))
            if chosen.package == names():
                path = bundle(debs, target, release, chosen.key, chosen.out)
                sys.stdout.write(f"{path.name}: {'signed' if chosen.key else 'not signed'}; {time.monotonic() - started:.0f} s\n")


if __name__ == "__main__":
    main()
