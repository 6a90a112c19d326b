"""`lineside backup`: what is in it, what never is, and what is said when it cannot be."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result

from gateway.life import archive, take
from gateway.life.archive import Damaged, Manifest
from gateway.outbox.append import Addressed
from gateway.outbox.store import Outbox
from gateway.testkit.clock import FakeClock
from gateway.testkit.rigs import event

Lineside = Callable[..., Result]


def manifest(path: Path) -> Manifest:
    with archive.opened(path) as (_, found):
        return found


def test_everything_but_secrets_blocks_and_the_lock_is_in_it(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    gateway.put(gateway.config / "crm.pem", b"-----BEGIN EC PRIVATE KEY-----\n")
    done = lineside("backup", "--config", gateway.file, "--to", "b.tar")
    assert done.exit_code == 0, done.stderr
    found = manifest(tmp_path / "b.tar")
    assert sorted(found.files) == [
        "config/lineside.yaml",
        "config/tags.csv",
        "state/accounts.json",
        "state/detectors/limit-1.state",
        "state/outbox.db",
        "state/pki/trusted/plc.der",
        "state/sources/press-07/map.json",
    ]
    assert found.left_out == ["state/pki/own/own.der", "state/pki/own/own.key.pem", "config/crm.pem", "config/secrets/crm_token"]
    assert (found.gateway, found.sequence, found.schema) == ("urn:lineside:acme:dresden:press-01", 2, _schema(gateway.state))
    assert b"canary-4711" not in (tmp_path / "b.tar").read_bytes()
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "one"]


@pytest.mark.parametrize("folder", ["state", "state/backups", "config", "config/backups"])
def test_a_backup_holds_no_backup_wherever_they_lie(gateway: Any, lineside: Lineside, folder: str) -> None:
    """With each as large as all before it, the disk is full within weeks."""
    place = getattr(gateway, folder.partition("/")[0]) / folder.partition("/")[2]
    place.mkdir(exist_ok=True)
    gateway.put(place / "lineside-support-press-01-20270115T080000Z.tar.gz", b"bundle")
    for name in ("one.tar", "one.tar", "two.tar"):
        assert lineside("backup", "--config", gateway.file, "--to", place / name).exit_code == 0
    assert manifest(place / "two.tar").files.keys() == manifest(place / "one.tar").files.keys()
    assert not [name for name in manifest(place / "two.tar").files if name.endswith((".tar", ".tar.gz"))]


@pytest.mark.parametrize("folder", ["state", "config"])
def test_what_a_medium_found_again_is_in_none_and_keeps_no_timer_from_its_work(
    gateway: Any, lineside: Lineside, tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`lost+found` is closed to the gateway's account, as which the timer takes it."""
    closed, scandir = getattr(gateway, folder) / "lost+found", os.scandir
    gateway.put(closed / "#123", b"x")

    def scan(path: Any) -> Any:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    done = lineside("backup", "--config", gateway.file, "--to", "b.tar")
    assert done.exit_code == 0, done.output
    assert not any("lost+found" in name for name in manifest(tmp_path / "b.tar").files)


def test_what_killed_backups_left_goes_with_the_next(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    """Each night one as large as a backup, hidden, and no --keep knows it."""
    gone, living, folder = 2**22, os.getppid(), tmp_path / "backups"
    names = [f".lineside-press-01-20270115T080000Z.tar.{gone}.{what}" for what in ("new", "outbox", "outbox-journal")]
    stay = [f".lineside-press-01-20270116T080000Z.tar.{living}.new", f".lineside-press-01-2-20270115T080000Z.tar.{gone}.new", ".hidden"]
    for name in names + stay:
        gateway.put(folder / name, b"left")
    assert lineside("backup", "--config", gateway.file, "--to", folder).exit_code == 0
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == sorted(stay)


def _schema(state: Path) -> int:
    with closing(sqlite3.connect(state / "outbox.db")) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_it_is_of_one_moment_while_the_gateway_writes(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    """Events, deliveries and the tally are one transaction each: in the copy they belong together."""
    stop, wrote = threading.Event(), threading.Event()

    async def write() -> None:
        outbox = Outbox(gateway.state, FakeClock())
        outbox.open()
        number = 0
        while not stop.is_set():
            number += 1
            await outbox.append([], [Addressed(event(number), ("crm",))])
            wrote.set()
        await outbox.close()

    writing = threading.Thread(target=lambda: asyncio.run(write()))
    writing.start()
    try:
        for number in range(3):
            wrote.clear()
            assert wrote.wait(20)
            assert lineside("backup", "--config", gateway.file, "--to", f"b{number}.tar").exit_code == 0
    finally:
        stop.set()
        writing.join()
    counts = []
    for number in range(3):
        with archive.opened(tmp_path / f"b{number}.tar") as (tar, found), (tmp_path / "copy.db").open("wb") as copy:
            archive.extract(tar, "state/outbox.db", copy)
        with closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
            stored = connection.execute("SELECT count FROM tally WHERE what='stored'").fetchone()[0]
            rows = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("event", "delivery")]
            assert rows == [stored, stored]
            assert found.sequence == stored
        counts.append(stored)
    assert 2 < counts[0] < counts[1] < counts[2]


def test_with_a_passphrase_the_secrets_are_in_it_and_cannot_be_read(
    gateway: Any, lineside: Lineside, passphrase: Path, tmp_path: Path
) -> None:
    gateway.put(gateway.config / "phrase", passphrase.read_bytes())
    given = ("--with-secrets", "--passphrase-file", gateway.config / "phrase")
    assert lineside("backup", "--config", gateway.file, "--to", "b.tar", *given).exit_code == 0
    found = manifest(tmp_path / "b.tar")
    assert found.left_out == []
    assert found.sealed == ["config/secrets/crm_token", "state/pki/own/own.der", "state/pki/own/own.key.pem"]
    raw = (tmp_path / "b.tar").read_bytes()
    assert b"canary-4711" not in raw
    assert passphrase.read_bytes() not in raw


OTHER = "press-01-2-20250101T000000Z"
"""Of the gateway press-01-2, which has its backups in the same folder."""


def test_a_backup_is_not_thinned_out_by_those_of_a_clock_that_was_ahead(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    """Named for a day that is still to come: each night's backup was older than these, and deleted as soon as it was written."""
    folder = tmp_path / "backups"
    folder.mkdir()
    ahead = [f"lineside-press-01-{year}0101T000000Z.tar" for year in (2098, 2099)]
    before = [f"lineside-press-01-{year}0101T000000Z.tar" for year in (2020, 2025)]
    for name in (*ahead, *before):
        (folder / name).touch()
    for keep, old in ((4, [ahead[1], *before]), (2, [before[1]])):
        assert lineside("backup", "--config", gateway.file, "--to", folder, "--keep", keep).exit_code == 0
        left = {path.name: path.stat().st_size for path in folder.iterdir()}
        assert {name for name, size in left.items() if not size} == set(old)
        new = max(name for name, size in left.items() if size)
        (folder / new).rename(folder / "kept.tar")
    assert (folder / "kept.tar").exists()


def test_the_timer_keeps_the_newest_of_this_gateway_only(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in ("press-01-20250101T000000Z", "press-01-20250102T000000Z", "press-02-20250101T000000Z", "press-01-by-hand", OTHER):
        (folder / f"lineside-{name}.tar").write_text("")
    assert lineside("backup", "--config", gateway.file, "--to", folder, "--keep", 2).exit_code == 0
    left = sorted(path.name for path in folder.iterdir())
    assert left[:2] == [f"lineside-{OTHER}.tar", "lineside-press-01-20250102T000000Z.tar"]
    assert left[3:] == ["lineside-press-01-by-hand.tar", "lineside-press-02-20250101T000000Z.tar"]


def test_a_flipped_byte_anywhere_is_found(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    lineside("backup", "--config", gateway.file, "--to", "b.tar")
    whole = (tmp_path / "b.tar").read_bytes()
    assert lineside("backup", "--verify", "b.tar").exit_code == 0
    with tarfile.open(tmp_path / "b.tar") as tar:
        places = [member.offset_data + member.size // 2 for member in tar] + [tar.getmember("state/outbox.db").offset + 3]
    for place in places:
        (tmp_path / "b.tar").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        done = lineside("backup", "--verify", "b.tar")
        assert done.exit_code == 1, place
        assert "b.tar" in done.stderr
    for size in (0, 100, len(whole) // 2, len(whole) - 10_240 - 1024):
        (tmp_path / "b.tar").write_bytes(whole[:size])
        assert lineside("backup", "--verify", "b.tar").exit_code == 1, size


def test_a_newer_format_is_not_guessed_at(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    with (tmp_path / "b.tar").open("wb") as file:
        writer = archive.Writer(file, 0)
        about = {"gateway": "x", "version": "9.0", "schema": 99, "sequence": 0, "taken_ns": 0, "config": "lineside.yaml", "files": {}}
        writer.close(msgspec.convert({"format": archive.FORMAT + 1, **about}, Manifest))
    done = lineside("backup", "--verify", "b.tar")
    assert (done.exit_code, "newer lineside" in done.stderr) == (2, True)


def test_a_full_disk_leaves_nothing_behind(gateway: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lineside: Lineside) -> None:
    def full(_file: Any, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(take, "_read_back", full)
    done = lineside("backup", "--config", gateway.file, "--to", "b.tar")
    assert done.exit_code == 1
    assert done.stderr == "lineside: No space left on device; make room\n"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_damaged_outbox_is_not_called_a_backup(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    file = gateway.state / "outbox.db"
    raw = bytearray(file.read_bytes())
    raw[4096:8192] = bytes(4096)
    file.write_bytes(raw)
    done = lineside("backup", "--config", gateway.file, "--to", "b.tar")
    assert (done.exit_code, (tmp_path / "b.tar").exists()) == (1, False)
    assert "damaged" in done.stderr or "malformed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--config", "missing.yaml"), 2, "there is no file missing.yaml"),
        (("--to", "missing/b.tar"), 2, "there is no folder missing"),
        (("--to", "b.tar", "--keep", "3"), 2, "--keep is for a folder"),
        (("--with-secrets",), 2, "--passphrase-file"),
        (("--passphrase-file", "x"), 2, "is for --with-secrets"),
        (("--with-secrets", "--passphrase-file", "missing"), 2, "missing cannot be read"),
        (("--with-secrets", "--passphrase-file", "open"), 2, "chmod 600"),
        (("--with-secrets", "--passphrase-file", "short"), 2, "12 is the least"),
        (("--verify", "missing"), 2, "there is no file missing"),
        (("--verify", "open"), 1, "no backup"),
        (("--verify", "."), 1, "Is a directory"),
    ],
)
def test_wrong_input_is_one_line(
    gateway: Any, lineside: Lineside, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    gateway.put(tmp_path / "open", b"hunter2hunter2", 0o644)
    gateway.put(tmp_path / "short", b"hunter2")
    given = arguments if "--config" in arguments or "--verify" in arguments else ("--config", gateway.file, *arguments)
    done = lineside("backup", *given)
    assert done.exit_code == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pipe_or_a_device_is_no_place_for_a_backup(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    """Root, who may, would put a file in the place of /dev/null, for everybody."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    before = sorted(tmp_path.iterdir())
    for command in (("backup", "--config", gateway.file), ("bundle", gateway.file)):
        done = lineside(*command, "--to", pipe)
        assert (done.exit_code, done.stderr) == (1, f"lineside: {pipe}: it is there, and no file\n")
    assert (sorted(tmp_path.iterdir()), pipe.is_fifo()) == (before, True)


def test_no_link_of_the_folders_owner_leads_what_root_writes_elsewhere(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    gateway.put(tmp_path / "victim", b"root's")
    copy = tmp_path / f".b.tar.{os.getpid()}.outbox"
    copy.symlink_to(tmp_path / "victim")
    assert lineside("backup", "--config", gateway.file, "--to", "b.tar").exit_code == 0
    assert ((tmp_path / "victim").read_bytes(), copy.is_symlink()) == (b"root's", False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads everything")
def test_a_link_brings_nobody_what_is_roots_alone(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    """`sudo lineside backup` belongs to the gateway's account, which may put links into its state folder."""
    gateway.put(tmp_path / "shadow", b"root's")
    links = [gateway.state / "sources" / name for name in ("roots", "others", "own")]
    for link in links:
        link.symlink_to(tmp_path / "shadow")
        os.lchown(link, 0 if link.name == "roots" else 65534, -1)
    links[2].unlink()
    links[2].symlink_to(gateway.state / "accounts.json")
    for path in (links[2], gateway.state / "accounts.json"):
        os.lchown(path, 65534, -1)
    assert lineside("backup", "--config", gateway.file, "--to", "b.tar").exit_code == 0
    found = {name.rpartition("/")[2] for name in manifest(tmp_path / "b.tar").files}
    assert found & {link.name for link in links} == {"roots", "own"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_on_a_medium_that_is_read_only_it_can_be_backed_up_and_nothing_else(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    """A worn card: what is on it is wanted now. Its log was not written back."""
    card = tmp_path / "card"
    card.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20M", "tmpfs", str(card)], check=False, capture_output=True).returncode:
        pytest.skip("this container may not mount")
    try:
        with closing(sqlite3.connect(gateway.state / "outbox.db")) as connection:
            connection.execute("PRAGMA wal_autocheckpoint=0")
            with connection:
                connection.execute("UPDATE event SET subject='changed'")
            shutil.copytree(gateway.state, card / "state")
        assert (card / "state/outbox.db-wal").stat().st_size
        gateway.file.write_text(gateway.file.read_text().replace(str(gateway.state), str(card / "state")))
        subprocess.run(["mount", "-o", "remount,ro", str(card)], check=True)
        done = lineside("backup", "--config", gateway.file, "--to", "b.tar")
        assert (done.exit_code, done.stderr) == (0, "")
        for command in (("wipe", "--config", gateway.file), ("restore", tmp_path / "b.tar", "--config-dir", gateway.config)):
            refused = lineside(*command, "--yes")
            assert refused.exit_code == 1
            assert refused.stderr == f"lineside: the state folder {card}/state cannot be used: Read-only file system\n"
        (tmp_path / "new").mkdir()
        refused = lineside("restore", "b.tar", "--state-dir", "new", "--config-dir", card, "--yes")
        assert (refused.exit_code, "Read-only file system" in refused.stderr, os.listdir("new")) == (1, True, ["lock"])
    finally:
        subprocess.run(["umount", str(card)], check=True)
    with archive.opened(tmp_path / "b.tar") as (tar, _), (tmp_path / "copy").open("wb") as copy:
        archive.extract(tar, "state/outbox.db", copy)
    with closing(sqlite3.connect(tmp_path / "copy")) as connection:
        assert connection.execute("SELECT DISTINCT subject FROM event").fetchall() == [("changed",)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "card", "copy", "new", "one"]


def test_odd_names_and_pipes_keep_it_from_nothing(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    """A name that is no UTF-8, as another system left it: no configuration can name such a file."""
    with open(os.fsencode(gateway.config) + b"/gr\xfc\xdfe.csv", "xb"):
        pass
    for name in ("new\nline.csv", "grüße.csv"):
        gateway.put(gateway.config / name, b"x")
    os.mkfifo(gateway.config / "pipe")
    (gateway.config / "dangling.csv").symlink_to("nowhere")
    done = lineside("backup", "--config", gateway.file, "--to", "b.tar")
    assert done.exit_code == 0, done.output
    names = {name for name in manifest(tmp_path / "b.tar").files if name.startswith("config/")}
    assert names == {"config/lineside.yaml", "config/tags.csv", "config/new\nline.csv", "config/grüße.csv"}
    assert lineside("restore", "b.tar", "--state-dir", "s", "--config-dir", "c", "--yes").exit_code == 0
    assert (tmp_path / "c/grüße.csv").read_bytes() == b"x"
    wiped = lineside("wipe", "--config", gateway.file, "--configuration", "--yes")
    assert (wiped.exit_code, (gateway.config / "pipe").is_fifo()) == (0, True)
    assert "\n  stays: " in wiped.stdout
    assert "new line.csv (no configuration names it)" in wiped.stdout


def test_a_gateway_that_never_ran_says_so(gateway: Any, lineside: Lineside) -> None:
    (gateway.state / "outbox.db").unlink()
    done = lineside("backup", "--config", gateway.file)
    assert (done.exit_code, "has this gateway ever run?" in done.stderr) == (2, True)


def test_errors_elsewhere_in_the_configuration_do_not_keep_it_from_being_backed_up(gateway: Any, lineside: Lineside) -> None:
    gateway.file.write_text(gateway.file.read_text().replace("limit:", "limt:"))
    assert lineside("backup", "--config", gateway.file).exit_code == 0


def test_no_room_is_told_before_anything_is_written(gateway: Any, lineside: Lineside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take.shutil, "disk_usage", lambda _: os.terminal_size((1, 1)) and type("Usage", (), {"free": 1000})())
    done = lineside("backup", "--config", gateway.file, "--to", "b.tar")
    assert (done.exit_code, "make room or choose --to" in done.stderr) == (2, True)


def test_what_has_no_business_in_a_backup_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar"
    with path.open("wb") as file:
        writer = archive.Writer(file, 0)
        writer.add_bytes("state/../../etc/cron.d/evil", b"x")
        about = {"gateway": "x", "version": "1", "schema": 1, "sequence": 0, "taken_ns": 0, "config": "lineside.yaml"}
        writer.close(msgspec.convert({"format": 1, **about, "files": writer.hashes}, Manifest))
    with archive.opened(path) as (tar, found), pytest.raises(Damaged, match="no business"):
        archive.verify(tar, found, path)
