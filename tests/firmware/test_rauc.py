"""A bundle by the template: signed, read with the right key, refused with another one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Tool = Callable[..., subprocess.CompletedProcess[str]]


def authority(tool: Tool, path: Path) -> None:
    """A self-signed certificate `path`.crt and its key."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{path}.key")
    assert tool("openssl", "req", "-x509", *key, "-out", f"{path}.crt", "-subj", f"/CN={path.name}", "-days", "1").returncode == 0


@pytest.fixture
def bundle(tool: Tool, firmware: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    shutil.copy(firmware / "ota/manifest.raucm", folder)
    (folder / "rootfs.img").write_bytes(os.urandom(1 << 16))
    authority(tool, tmp_path / "ours")
    signed = tool("rauc", "bundle", "--cert", tmp_path / "ours.crt", "--key", tmp_path / "ours.key", folder, tmp_path / "update.raucb")
    assert signed.returncode == 0, signed.stdout
    return tmp_path / "update.raucb"


def test_a_bundle_is_read_with_our_key_and_refused_with_another_one(tool: Tool, bundle: Path, tmp_path: Path) -> None:
    authority(tool, tmp_path / "theirs")
    ours = tool("rauc", "info", "--keyring", tmp_path / "ours.crt", bundle)
    assert ours.returncode == 0
    assert "lineside-gateway-ipc" in ours.stdout
    assert tool("rauc", "info", "--keyring", tmp_path / "theirs.crt", bundle).returncode == 1


def test_a_bundle_that_was_changed_is_refused(tool: Tool, bundle: Path, tmp_path: Path) -> None:
    content = bytearray(bundle.read_bytes())
    content[-100] ^= 1  # in the signature
    bundle.write_bytes(content)
    assert tool("rauc", "info", "--keyring", tmp_path / "ours.crt", bundle).returncode == 1


def test_rauc_reads_the_slots_and_bundle_and_system_fit(tool: Tool, firmware: Path, bundle: Path, tmp_path: Path) -> None:
    text = (firmware / "ota/system.conf").read_text()
    assert "compatible=lineside-gateway-ipc\n" in text
    for given, code in ((text, 0), (text.replace("bootname=", "botname="), 1)):
        (tmp_path / "system.conf").write_text(given)
        done = tool("rauc", "--conf", tmp_path / "system.conf", "info", "--keyring", tmp_path / "ours.crt", bundle)
        assert done.returncode == code, done.stdout
