"""What a gateway does not carry when it does not need it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "asyncua",
    "cryptography",
    "narwhals",
    "nkeys",
    "paho",
    "pandas",
    "prometheus_client",
    "pymodbus",
    "river",
    "ruamel",
    "scipy",
    "sqlite_utils",
)
"""Of sources, detectors, uplinks, of a scraper, of commands, of a fresh state folder."""


def test_an_ordinary_gateway_imports_nothing_heavy() -> None:
    probe = f"""
import sys, gateway.cli, gateway.commands.run, gateway.uplink.nats.uplink, models.limit.detector
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []
