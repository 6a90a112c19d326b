"""What is installed is read once, and again when a package came or went."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway import installed


def put(folder: Path, name: str) -> None:
    """A package that brings one source and nothing to import but `acme`."""
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[gateway.sources]\n{name} = {name}:plugin\n")
    (about / "top_level.txt").write_text("acme\n")
    os.utime(folder, ns=(0, len(list(folder.iterdir()))))  # a file system may not tell two moments apart


def test_a_package_that_comes_is_found_though_others_were_read_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))

    def names() -> set[str]:
        return {entry.name for entry in installed.entries("gateway.sources")}

    before = names()
    assert "modbus" in before
    assert installed.owners("acme") == frozenset()
    put(tmp_path, "one")
    assert names() == before | {"one"}
    put(tmp_path, "two")
    assert names() == before | {"one", "two"}
    assert installed.owners("acme") == {"one", "two"}


def test_what_is_not_there_has_no_owner() -> None:
    assert installed.owners("no_such_package") == frozenset()


def test_it_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = installed.entries("gateway.uplinks")
    monkeypatch.setattr(installed, "entry_points", None)
    assert installed.entries("gateway.uplinks") == first != ()
    assert installed.entries("gateway.commands") != ()
