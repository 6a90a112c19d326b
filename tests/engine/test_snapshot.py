"""Detector states on disk: old or new, never half; damage means fresh, and is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.engine.snapshot import Snapshots


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    states = Snapshots(tmp_path / "detectors")
    assert states.load("limit-1") is None
    for state in (b"", b"one", b"two" * 1000):
        states.save("limit-1", state)
        assert states.load("limit-1") == state
    assert states.load("limit-2") is None
    assert [path.name for path in (tmp_path / "detectors").iterdir()] == ["limit-1.state"]


def test_a_state_tells_by_how_much_the_clock_was_ahead_when_it_was_taken(tmp_path: Path) -> None:
    states = Snapshots(tmp_path, lambda: 7)
    states.save("limit-1", b"as ever")
    states.save("limit-2", b"late", 40)
    assert (states.load("limit-1"), states.ahead_ns("limit-1")) == (b"as ever", -7)
    assert (states.load("limit-2"), states.ahead_ns("limit-2")) == (b"late", 33)


@pytest.mark.parametrize("damage", ["flipped bit", "cut short", "empty", "only the magic", "another file"])
def test_a_damaged_state_is_none_and_told(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    states = Snapshots(tmp_path)
    states.save("limit-1", b"0123456789")
    path = tmp_path / "limit-1.state"
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    content = {"flipped bit": bytes(raw), "cut short": raw[:-2], "empty": b"", "only the magic": raw[:8], "another file": b"PNG" * 20}
    path.write_bytes(content[damage])
    assert states.load("limit-1") is None
    assert [record.getMessage() for record in caplog.records] == ["detector state damaged, starting fresh"]


def test_a_write_that_was_cut_off_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = Snapshots(tmp_path)
    states.save("limit-1", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            states.save("limit-1", b"new")
    assert states.load("limit-1") == b"old"
    states.save("limit-1", b"new")
    assert states.load("limit-1") == b"new"


def test_the_content_is_on_disk_before_the_name_and_the_name_before_returning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        done.append("sync " + Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    def watched_replace(self: Path, target: Path) -> Path:
        done.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    Snapshots(tmp_path).save("limit-1", b"state")
    assert done == [f"sync .limit-1.state.{os.getpid()}.new", "rename", f"sync {tmp_path.name}"]
