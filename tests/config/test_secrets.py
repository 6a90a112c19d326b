"""Secrets are looked up in three places, the safest first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway import registry
from gateway.config.secrets import Secrets, references
from gateway.contract import ConfigError, SecretRef

REF = SecretRef(secret="nats.hub-creds")


@pytest.fixture
def secret_file(folder: Path) -> Path:
    file = folder / "secrets" / REF.secret
    file.parent.mkdir()
    file.write_text("from the file\n", encoding="utf-8")
    file.chmod(0o600)
    return file


def test_a_systemd_credential_goes_before_the_environment_and_that_before_a_file(
    folder: Path, secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = Secrets(folder)
    assert secrets(REF) == "from the file"
    monkeypatch.setenv("LINESIDE_SECRET_NATS_HUB_CREDS", "from the environment")
    assert secrets(REF) == "from the environment"
    credentials = folder / "credentials"
    credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert secrets(REF) == "from the environment"
    (credentials / REF.secret).write_text("from systemd\n", encoding="utf-8")
    assert secrets(REF) == "from systemd"


def test_white_space_around_it_and_a_mark_of_windows_are_no_part_of_it(
    folder: Path, secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret_file.write_bytes(b"\xef\xbb\xbf from the file\r\n")
    monkeypatch.setenv("LINESIDE_SECRET_NATS_HUB_CREDS", " \n")
    assert Secrets(folder)(REF) == "from the file"
    monkeypatch.setenv("LINESIDE_SECRET_NATS_HUB_CREDS", " from the environment\n")
    assert Secrets(folder)(REF) == "from the environment"


def test_an_environment_that_is_no_text_is_a_clear_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINESIDE_SECRET_NATS_HUB_CREDS", os.fsdecode(b"T\xfcr"))
    with pytest.raises(ConfigError, match=r"\$LINESIDE_SECRET_NATS_HUB_CREDS is not UTF-8 text"):
        Secrets(folder)(REF)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_file_that_others_can_read_or_write_is_refused(folder: Path, secret_file: Path, mode: int) -> None:
    secret_file.chmod(mode)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}.*run: chmod 600"):
        Secrets(folder)(REF)


def test_a_file_that_is_no_text_is_a_clear_error(folder: Path, secret_file: Path) -> None:
    secret_file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        Secrets(folder)(REF)


def test_a_folder_one_may_not_look_into_is_a_clear_error(folder: Path, secret_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload reads the secrets, too, and what it does not expect ends the gateway."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder / "none"))
    secret_file.parent.chmod(0)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)  # root may look everywhere
    try:
        with pytest.raises(ConfigError, match="cannot be looked at: Permission denied"):
            Secrets(folder)(REF)
    finally:
        os.seteuid(was)
        secret_file.parent.chmod(0o700)


def test_an_empty_variable_is_no_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINESIDE_SECRET_NATS_HUB_CREDS", "")
    with pytest.raises(ConfigError, match=r"is nowhere: .*\$LINESIDE_SECRET_NATS_HUB_CREDS"):
        Secrets(folder)(REF)


def test_references_are_found_wherever_they_stand() -> None:
    plugin = registry.uplink("https")
    auth = {"kind": "standard_webhooks", "secrets": [{"secret": "new"}, {"secret": "old"}]}
    options = plugin.options.model_validate(
        {"https": "https://crm.example", "auth": auth, "tls": {"client_cert": "c", "client_key": {"secret": "key"}}}
    )
    assert [(option, ref.secret) for option, ref in references(options)] == [("auth", "new"), ("auth", "old"), ("tls", "key")]
