"""Runs all of them and writes ANALYTICS.md."""

from __future__ import annotations

import sys

from benchmarks.recordings import Suite

SUITE = Suite(
    package="benchmarks.analytics",
    scenarios={"nab": ("--split", "--contributions"), "skab": (), "ims": (), "speed": ()},
    page="ANALYTICS.md",
    data="folder with nab/, skab/ and ims/",
    head="""\
# Detectors on public recordings

Written by `make bench-analytics` on {date} ({machine}). Streaming, scored before learnt, one setting for all files; what is compared with
runs in the same process on the same rows. The recordings are not part of the project; `benchmarks/analytics/__init__.py` says where
they are from.
""",
)

if __name__ == "__main__":
    sys.exit(SUITE.main())
