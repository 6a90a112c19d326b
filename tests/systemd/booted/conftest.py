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


@pytest.fixture(scope="session", params=os.environ.get("LINESIDE_LAB", "").split() or [None])
def lab(request: pytest.FixtureRequest) -> Iterator[Any]:
    """LINESIDE_LAB="bookworm trixie": which Debians; `make lab` sets it."""
    if request.param is None:
        pytest.skip("make lab")
    module = _module()
    lab = module.Lab(module.make(request.param, module.ROOT / "build" / "lab"))
    lab.until = module.until
    try:
        lab.start()
        assert lab.systemctl("daemon-reload") == 0
        assert lab.inside("systemd-sysusers").returncode == 0
        assert lab.inside("systemd-tmpfiles", "--create").returncode == 0
        lab.write("/etc/lineside/credentials/crm_token", "canary-42")
        lab.write("/etc/systemd/system/lineside.service.d/10-credential.conf", CREDENTIAL)
        lab.write("/etc/systemd/system/lineside@two.service.d/10-credential.conf", CREDENTIAL)
        lab.systemctl("daemon-reload")
        yield lab
    finally:
        lab.stop()


@pytest.fixture
def running(lab: Any) -> Any:
    """The gateway with its first configuration."""
    lab.write("/etc/lineside/lineside.yaml", CONFIG)
    assert lab.inside("chown", "root:lineside", "/etc/lineside/lineside.yaml").returncode == 0
    assert lab.systemctl("restart", "lineside") == 0, lab.journal("-u", "lineside", "-n", "20")
    return lab
