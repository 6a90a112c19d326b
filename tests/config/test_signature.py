"""Signed configurations: each kind of tampering is refused with its place, and what is signed is taken."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.config import ConfigErrors, Settings, load

CONFIG = """\
version: 1
site: {enterprise: acme, site: dresden, gateway: gw-1}
machines:
  cnc-02:
    source: {modbus: "tcp://127.0.0.1:9"}
    tags_from: lists/cnc-02.csv
gateway: {page: off}
"""
TAGS = "name,at,as\nload,40001,uint16\n"


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """A configuration with a list of tags, signed, and the key that is trusted."""
    (tmp_path / "lineside.yaml").write_text(CONFIG)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/cnc-02.csv").write_text(TAGS)
    key(tmp_path, "plant")
    (tmp_path / "trusted-keys").mkdir()
    (tmp_path / "plant.pem").rename(tmp_path / "trusted-keys/plant.pem")
    sign(tmp_path, "plant")
    return tmp_path


def key(folder: Path, name: str) -> None:
    assert CliRunner().invoke(main, ["config", "key", str(folder / name)]).exit_code == 0


def sign(folder: Path, name: str) -> None:
    result = CliRunner().invoke(main, ["config", "sign", str(folder / "lineside.yaml"), "--key", str(folder / f"{name}.key")])
    assert result.exit_code == 0, result.output


def loaded(folder: Path) -> Settings:
    return load(folder / "lineside.yaml")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def change_signature(folder: Path, change: Callable[[Any], None]) -> None:
    path = folder / "lineside.yaml.sig"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def by_another(folder: Path) -> None:
    key(folder, "other")
    sign(folder, "other")


def of_another_plant(folder: Path) -> None:
    """A signature that is right, of another file."""
    signature = (folder / "lineside.yaml.sig").read_bytes()
    edit(folder / "lineside.yaml", "gw-1", "gw-2")
    sign(folder, "plant")
    (folder / "lineside.yaml.sig").write_bytes(signature)


def test_what_is_signed_is_taken(plant: Path) -> None:
    settings = loaded(plant)
    assert len(settings.signed_by) == 64
    assert sorted(settings.files) == ["lineside.yaml", "lists/cnc-02.csv"]
    result = CliRunner().invoke(main, ["config", "verify", str(plant / "lineside.yaml")])
    assert (result.exit_code, "lists/cnc-02.csv" in result.output) == (0, True)


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (lambda f: (f / "lineside.yaml.sig").unlink(), "1:1: is not signed, and this gateway takes only files signed"),
        (lambda f: edit(f / "lineside.yaml", "gw-1", "gw-2"), "1:1: is not what was signed at 2"),
        (lambda f: edit(f / "lineside.yaml", "\n", "\n#\n"), "1:1: is not what was signed at 2"),
        (
            lambda f: edit(f / "lists/cnc-02.csv", "40001", "40003"),
            "6:16: machines.cnc-02.tags_from: 'lists/cnc-02.csv' is not what",
        ),
        (lambda f: change_signature(f, lambda d: d["signed"]["files"].pop("lists/cnc-02.csv")), "does not fit what it signs"),
        (lambda f: change_signature(f, lambda d: d["signed"].update(at="2030-01-01T00:00:00Z")), "does not fit what it signs"),
        (lambda f: change_signature(f, lambda d: d.update(signature="AAAA")), "does not fit what it signs"),
        (lambda f: change_signature(f, lambda d: d.update(signature="%")), "its signature lineside.yaml.sig is damaged"),
        (lambda f: change_signature(f, lambda d: d.pop("signed")), "its signature lineside.yaml.sig is damaged"),
        (lambda f: (f / "lineside.yaml.sig").write_bytes(b"\xff{"), "its signature lineside.yaml.sig is damaged"),
        (lambda f: (f / "lineside.yaml.sig").write_text("[" * 100_000), "its signature lineside.yaml.sig is damaged"),
        (by_another, "is by a key nobody here trusts"),
        (of_another_plant, "1:1: is not what was signed at 2"),
        (lambda f: (f / "trusted-keys/plant.pem").write_text("nothing"), "plant.pem is no public key in PEM"),
    ],
)
def test_what_was_changed_is_refused(plant: Path, tamper: Callable[[Path], Any], said: str) -> None:
    tamper(plant)
    with pytest.raises(ConfigErrors) as refused:
        loaded(plant)
    (problem,) = refused.value.problems
    assert said in str(problem)
    assert "lineside config sign" in problem.hint
    result = CliRunner().invoke(main, ["config", "verify", str(plant / "lineside.yaml")])
    assert result.exit_code == 2
    assert CliRunner().invoke(main, ["check", str(plant / "lineside.yaml")]).exit_code == 2


def test_a_list_that_nobody_signed_is_refused(plant: Path) -> None:
    (plant / "more.csv").write_text(TAGS)
    edit(plant / "lineside.yaml", "lists/cnc-02.csv", "more.csv")
    with pytest.raises(ConfigErrors, match=r"1:1: is not what was signed"):
        loaded(plant)


def test_two_keys_may_be_trusted_so_that_one_can_replace_the_other(plant: Path) -> None:
    by_another(plant)
    (plant / "other.pem").rename(plant / "trusted-keys/other.pem")
    assert loaded(plant).signed_by
    sign(plant, "plant")
    assert loaded(plant).signed_by


def test_without_a_trusted_key_nothing_needs_a_signature(plant: Path) -> None:
    (plant / "trusted-keys/plant.pem").unlink()
    edit(plant / "lineside.yaml", "gw-1", "gw-2")
    assert loaded(plant).signed_by == ""


def test_trusted_keys_one_may_not_look_at_take_no_file_unsigned(plant: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(folder: Path) -> list[str]:
        raise PermissionError(13, "Permission denied", str(folder))

    (plant / "lineside.yaml.sig").unlink()
    monkeypatch.setattr(os, "listdir", closed)  # as it is for an account that may not
    with pytest.raises(ConfigErrors, match=r"nobody knows whether it must be signed: .*trusted-keys cannot be read: Permission denied"):
        loaded(plant)


def the_key_itself(folder: Path) -> None:
    """``cp plant.pem trusted-keys`` before there is a folder."""
    (folder / "plant.pem").rename(folder / "trusted-keys")


def keys_elsewhere(folder: Path) -> None:
    """On a medium that is not there now."""
    (folder / "trusted-keys").symlink_to("/nowhere/keys")


@pytest.mark.parametrize(("put", "said"), [(the_key_itself, "Not a directory"), (keys_elsewhere, "No such file or directory")])
def test_trusted_keys_that_are_no_folder_take_no_file_unsigned(plant: Path, put: Callable[[Path], None], said: str) -> None:
    (plant / "trusted-keys/plant.pem").rename(plant / "plant.pem")
    (plant / "trusted-keys").rmdir()
    (plant / "lineside.yaml.sig").unlink()
    put(plant)
    with pytest.raises(ConfigErrors, match=rf"nobody knows whether it must be signed: .*trusted-keys cannot be read: {said}"):
        loaded(plant)
    assert CliRunner().invoke(main, ["config", "verify", str(plant / "lineside.yaml")]).exit_code == 2


def test_a_file_with_errors_is_not_signed(plant: Path) -> None:
    edit(plant / "lineside.yaml", "modbus", "modbuss")
    before = (plant / "lineside.yaml.sig").read_bytes()
    result = CliRunner().invoke(main, ["config", "sign", str(plant / "lineside.yaml"), "--key", str(plant / "plant.key")])
    assert (result.exit_code, "did you mean 'modbus'" in result.output) == (2, True)
    assert (plant / "lineside.yaml.sig").read_bytes() == before


def test_a_private_key_is_its_owners_and_is_not_overwritten(plant: Path) -> None:
    assert (plant / "plant.key").stat().st_mode & 0o777 == 0o600
    before = (plant / "plant.key").read_bytes()
    assert CliRunner().invoke(main, ["config", "key", str(plant / "plant")]).exit_code == 1
    assert (plant / "plant.key").read_bytes() == before
