"""Runs all of them and writes VIBRATION.md."""

from __future__ import annotations

import sys

from benchmarks.recordings import Suite

SUITE = Suite(
    package="benchmarks.vibration",
    scenarios={"cwru": (), "ims": (), "femto": (), "speed": (), "through": ()},
    page="VIBRATION.md",
    data="folder with cwru/, ims/ and femto/",
    head="""\
# Vibration on public recordings

Written by `make bench-vibration` on {date} ({machine}). One setting for all files. The recordings are not part of the project;
`benchmarks/vibration/__init__.py` and its modules say what they are and where they are from. What misses its target, and why, stands in
`models/vibration/README.md`.
""",
)

if __name__ == "__main__":
    sys.exit(SUITE.main())
