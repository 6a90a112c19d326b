"""One booted Debian for all tests here."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CONFIG = """\
version: 1
site: {enterprise: acme, site: dresden, gateway: lab-01}
machines:
  press-07:
    source: {modbus: "tcp://127.0.0.1:9"}
    tags: {oil_temperature: {at: 40011, as: float32}}
watch:
  - limit: {on: press-07/oil_temperature, high: 70}
deliver:
  crm: {https: "https://127.0.0.1:9/", token: {secret: crm_token}}
"""
CREDENTIAL = "[Service]\nLoadCredential=crm_token:/etc/lineside/credentials/crm_token\n"


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("lineside_lab", Path(__file__).with_name("lab.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SUITES = os.environ.get("LINESIDE_LAB", "").split() or [None]
"""LINESIDE_LAB="bookworm trixie": which Debians; `make lab` sets it."""


def _booted(suite: str | None) -> Iterator[Any]:
    if suite is None:
        pytest.skip("make lab")
    module = _module()
    lab = module.Lab(module.make(suite, module.ROOT / "build" / "lab"))
    lab.until, lab.package = module.until, module.package
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()


@pytest.fixture(scope="module", params=SUITES)
def bare(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A Debian nobody has installed the gateway in."""
    yield from _booted(request.param)


@pytest.fixture(scope="module", params=SUITES)
def lab(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A Debian with the package, and a secret."""
    for lab in _booted(request.param):
        done = lab.inside("dpkg", "-i", lab.package(lab.root))
        assert done.returncode == 0, done.stdout + done.stderr
        give_secret(lab)
        lab.systemctl("daemon-reload")
        yield lab


def give_secret(lab: Any) -> None:
    lab.write("/etc/lineside/credentials/crm_token", "canary-42")
    lab.write("/etc/systemd/system/lineside.service.d/10-credential.conf", CREDENTIAL)
    lab.write("/etc/systemd/system/lineside@two.service.d/10-credential.conf", CREDENTIAL)


@pytest.fixture
def running(lab: Any) -> Any:
    """The gateway with its first configuration."""
    lab.write("/etc/lineside/lineside.yaml", CONFIG)
    assert lab.inside("chown", "root:lineside", "/etc/lineside/lineside.yaml").returncode == 0
    assert lab.systemctl("restart", "lineside") == 0, lab.journal("-u", "lineside", "-n", "20")
    return lab
