"""What a gateway does not carry when it does not need it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_LEAN = """
import os, ssl, sys
before, certificates = dict(os.environ), ssl.create_default_context().cert_store_stats()
from gateway import lean
lean.import_lean()
assert dict(os.environ) == before
assert "argparse" not in sys.modules
from aiohttp import connector
assert connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509_ca"] == 0
assert ssl.create_default_context().cert_store_stats() == certificates
from zoneinfo import TZPATH, ZoneInfo
assert "/usr/share/zoneinfo" in TZPATH and ZoneInfo("Europe/Berlin")
import mimetypes, numpy
assert mimetypes.guess_type("a.html")[0] == "text/html" and mimetypes.guess_type("a.js")[0] and mimetypes.guess_type("a.svg")[0]
assert numpy.linalg.solve([[2.0]], [1.0])[0] == 0.5
"""

SYSTEM = {name: value for name, value in os.environ.items() if not name.startswith("SSL_CERT_")}
"""With the system's certificates, which tests do without otherwise."""

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


def test_what_is_imported_lean_works_and_changes_nothing_for_others() -> None:
    """Who asks for the system's certificates gets them."""
    subprocess.run([sys.executable, "-c", _LEAN], timeout=60, check=True, env=SYSTEM)


def test_the_shipped_command_imports_lean(tmp_path: Path) -> None:
    """Whether aiohttp has certificates when the configuration is read."""
    probe = """
import sys
from gateway import cli
def asked(file):
    from aiohttp import connector
    sys.exit(connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509_ca"] > 0)
cli.load_or_exit = asked
cli.main(["run", sys.argv[1]])
"""
    subprocess.run([sys.executable, "-c", probe, str(tmp_path / "none.yaml")], timeout=60, check=True, env=SYSTEM)
