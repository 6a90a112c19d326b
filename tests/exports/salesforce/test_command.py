"""`lineside export salesforce` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.exports.salesforce.folder import source_folder

PEM = "-----BEGIN CERTIFICATE-----\nMIIBszCCARw=\n-----END CERTIFICATE-----\n"


def lineside(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["export", "salesforce", *arguments], prog_name="lineside")


def written(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", ["event", "record"])
def test_folder_is_written_and_written_again(tmp_path: Path, mode: str) -> None:
    for _ in range(2):
        result = lineside(str(tmp_path / "sf"), "--mode", mode, "--contact", "crm@acme.example")
        assert (result.exit_code, result.stderr) == (0, "")
    assert written(tmp_path / "sf") == source_folder(mode=mode, contact="crm@acme.example")  # type: ignore[arg-type]


def test_certificate_with_what_openssl_writes_before_it(tmp_path: Path) -> None:
    """As it comes out of a .pfx: with the name of its owner, umlauts and all."""
    (tmp_path / "gateway.crt").write_text(f"Bag Attributes\n    friendlyName: Gateway Süd\n{PEM}", encoding="utf-8")
    assert lineside(str(tmp_path / "sf"), "--certificate", str(tmp_path / "gateway.crt")).exit_code == 0
    assert written(tmp_path / "sf") == source_folder(certificate=PEM)


def test_certificate_in_binary_form_is_told_as_none(tmp_path: Path) -> None:
    (tmp_path / "gateway.der").write_bytes(b"\x30\x82\x03\xff")
    result = lineside(str(tmp_path / "sf"), "--certificate", str(tmp_path / "gateway.der"))
    assert (result.exit_code, "not one certificate in PEM form" in result.output) == (2, True)


def test_certificate_is_taken_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "gateway.crt").write_text(PEM)
    assert lineside(str(tmp_path / "sf"), "--certificate", str(tmp_path / "gateway.crt")).exit_code == 0
    assert written(tmp_path / "sf") == source_folder(certificate=PEM)


def test_a_private_key_is_never_written(tmp_path: Path) -> None:
    (tmp_path / "gateway.pem").write_text(PEM + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    result = lineside(str(tmp_path / "sf"), "--certificate", str(tmp_path / "gateway.pem"))
    assert result.exit_code == 2
    assert "the file holds a private key" in result.stderr
    assert not (tmp_path / "sf").exists()


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    result = lineside(str(tmp_path / "sf"), "--certificate", str(tmp_path / "missing.crt"))
    assert (result.exit_code, "missing.crt cannot be read: No such file or directory" in result.stderr) == (2, True)
    (tmp_path / "file").write_text("")
    result = lineside(str(tmp_path / "file" / "below"))
    assert (result.exit_code, "cannot be written: Not a directory" in result.stderr) == (2, True)
