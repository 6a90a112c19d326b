"""The demo's folder: begun anew, never somebody else's, one demo at a time."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gateway.config import load
from gateway.demo.folder import FolderRefused, RunFolder

VALUES = {"modbus": 1502, "opcua": 4840, "mqtt": 1883, "page": 8080, "inbox": "https://localhost:1/events"}
VALUES |= {"nats": "nats://127.0.0.1:4222", "clear_after": 3.0}


def test_folder_with_something_else_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FolderRefused, match="not empty"):
        RunFolder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_second_run_begins_anew_and_leaves_what_is_not_ours(tmp_path: Path) -> None:
    first = RunFolder(tmp_path / "run")
    token = (first.path / "secrets/crm_token").read_text()
    (first.path / "state").mkdir()
    (first.path / "state/outbox.db").write_text("old")
    (first.path / "notes.txt").write_text("mine")
    first.close()
    second = RunFolder(tmp_path / "run")
    assert not (second.path / "state").exists()
    assert (second.path / "notes.txt").read_text() == "mine"
    assert (second.path / "secrets/crm_token").read_text() != token
    second.close()


def test_state_that_links_elsewhere_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("stay")
    RunFolder(tmp_path / "run").close()
    (tmp_path / "run/state").symlink_to(precious)
    RunFolder(tmp_path / "run").close()
    assert (precious / "file").read_text() == "stay"


def test_two_demos_in_one_folder_are_refused(tmp_path: Path) -> None:
    first = RunFolder(tmp_path / "run")
    with pytest.raises(FolderRefused, match="another demo"):
        RunFolder(tmp_path / "run")
    first.close()


def test_secrets_are_for_us_alone(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder.path / "secrets").iterdir()}
    assert modes == {"cnc_password": 0o600, "crm_token": 0o600}
    folder.close()


def test_yaml_it_leaves_is_a_valid_configuration_without_secrets_in_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / 'a "strange" folder')
    text = folder.configure(VALUES).read_text()
    settings = load(folder.path / "lineside.yaml")
    assert list(settings.machines) == ["press-07", "cnc-02", "pump-3", "mes"]
    assert settings.secrets == ("cnc_password", "crm_token")
    assert settings.state_dir == folder.path / "state"
    assert (folder.path / "secrets/crm_token").read_text() not in text
    folder.close()
