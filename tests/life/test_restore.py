"""`lineside restore`: all or nothing, wherever it is cut off; what is refused; what leaps."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result

from gateway.contract import ConfigError
from gateway.incidents import Incident
from gateway.life import archive, restore, resume, swap
from gateway.outbox.append import IncidentRow, next_sequence
from gateway.outbox.epoch import epochs
from gateway.outbox.lock import state_lock
from gateway.overview import _brief

Lineside = Callable[..., Result]


class Cut(BaseException):
    """The process was killed here."""


@pytest.fixture
def backup(gateway: Any, lineside: Lineside, tmp_path: Path) -> Path:
    assert lineside("backup", "--config", gateway.file, "--to", "b.tar").exit_code == 0
    return tmp_path / "b.tar"


@pytest.fixture
def other(gateway: Any, tmp_path: Path) -> Any:
    """Another device with a life of its own."""
    made = type(gateway)(tmp_path / "other").make()
    made.put(made.state / "detectors" / "limit-1.state", b"of the other")
    made.put(made.config / "local.csv", b"stays")
    return made


def content(folder: Path) -> dict[str, bytes]:
    """Everything but what belongs to restoring itself and to SQLite."""
    hidden = (".restore", "before-restore-", "lock", "outbox.db")
    files = [path for path in folder.rglob("*") if path.is_file() and not path.relative_to(folder).parts[0].startswith(hidden)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def given(state: Path) -> tuple[int, int]:
    """Next sequence, and how many epochs there were."""
    with closing(sqlite3.connect(state / "outbox.db")) as connection:
        return next_sequence(connection), len(epochs(connection))


def run(lineside: Lineside, backup: Path, other: Any, *more: object) -> Result:
    return lineside("restore", backup, "--state-dir", other.state, "--config-dir", other.config, "--yes", *more)


def test_it_is_as_it_was_and_what_was_there_is_put_aside(gateway: Any, other: Any, backup: Path, lineside: Lineside) -> None:
    before = content(other.state)
    gateway.put(other.state / "wear.json", b"of this disk")
    done = run(lineside, backup, other)
    assert done.exit_code == 0, done.stderr
    assert (other.state / "wear.json").read_bytes() == b"of this disk"
    assert (other.state / "detectors" / "limit-1.state").read_bytes() == b"learnt"
    assert (other.config / "local.csv").read_bytes() == b"stays"
    assert (other.config / "lineside.yaml").read_text() == gateway.file.read_text()
    assert given(other.state)[0] > 1_700_000_000_000_000
    (aside,) = other.state.glob("before-restore-*")
    assert content(aside) == before
    assert {path.name for path in other.config.glob("before-restore-*/*")} == {"lineside.yaml", "tags.csv"}
    assert "not restored, because they are secrets: state/pki/own/own.der" in done.stderr
    assert f"change gateway.state_dir to {other.state}" in done.stderr


def test_secrets_come_back_with_the_passphrase_and_their_modes(
    gateway: Any, other: Any, passphrase: Path, lineside: Lineside, tmp_path: Path
) -> None:
    sealing = ("--passphrase-file", passphrase)
    lineside("backup", "--config", gateway.file, "--to", "b.tar", "--with-secrets", *sealing)
    shutil.rmtree(other.state / "pki")
    assert run(lineside, tmp_path / "b.tar", other, *sealing).exit_code == 0
    assert content(other.state / "pki") == content(gateway.state / "pki")
    for secret in (other.state / "pki/own/own.key.pem", other.config / "secrets/crm_token"):
        assert secret.stat().st_mode & 0o077 == 0
    wrong = tmp_path / "wrong"
    gateway.put(wrong, b"not the passphrase")
    before = content(other.state)
    done = run(lineside, tmp_path / "b.tar", other, "--passphrase-file", wrong)
    assert (done.exit_code, "passphrase is wrong" in done.stderr) == (1, True)
    assert content(other.state) == before


@pytest.fixture
def nobodys(other: Any) -> Iterator[Any]:
    """A state folder of the gateway's account, which can get there; the rest is root's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    shutil.move(other.state, folder / "state")
    other.state = folder / "state"
    for path in (other.state, *other.state.rglob("*")):
        os.chown(path, 65534, 65534)
    yield other
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works for somebody else")
class TestForTheAccount:
    def test_what_root_restores_belongs_to_it(self, nobodys: Any, backup: Path, lineside: Lineside) -> None:
        done = run(lineside, backup, nobodys)
        assert done.exit_code == 0, done.stderr
        assert (nobodys.state / "detectors" / "limit-1.state").read_bytes() == b"learnt"
        assert {path.lstat().st_uid for path in nobodys.state.rglob("*") if path.name != "lock"} == {65534}
        assert {path.lstat().st_uid for path in nobodys.config.rglob("*")} == {0}
        assert (os.geteuid(), os.getegid()) == (0, os.getgid())

    @pytest.mark.parametrize("swapped", ["detectors", ""], ids=["a folder", "all of it"])
    def test_a_link_it_puts_in_the_way_leads_nothing_elsewhere(
        self, nobodys: Any, backup: Path, lineside: Lineside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
    ) -> None:
        victim, real = nobodys.state.parent / "roots", restore._folders
        (victim / "detectors").mkdir(parents=True)

        def folders(folder: Path, top: Path, *, secret: bool) -> None:
            real(folder, top, secret=secret)
            place = top / swapped
            if top.parent == nobodys.state and place.is_dir() and not place.is_symlink():
                place.rename(nobodys.state / "was-there")
                place.symlink_to(victim)

        monkeypatch.setattr(restore, "_folders", folders)
        assert run(lineside, backup, nobodys).exit_code == 1
        assert [path for path in victim.rglob("*") if path.is_file()] == []

    def test_a_folder_of_roots_in_it_is_told_before_anything_changes(self, nobodys: Any, backup: Path, lineside: Lineside) -> None:
        os.chown(nobodys.state / "detectors", 0, 0)
        before = content(nobodys.state)
        done = run(lineside, backup, nobodys)
        assert (done.exit_code, "chown -R --reference=" in done.stderr) == (2, True)
        assert content(nobodys.state) == before
        assert not list(nobodys.state.glob(".restore*"))


def test_as_a_new_device_it_has_no_identity_of_the_old_one(
    gateway: Any, other: Any, passphrase: Path, lineside: Lineside, tmp_path: Path
) -> None:
    gateway.put(gateway.state / "pki/device.key.pem", b"-----BEGIN PRIVATE KEY-----")
    gateway.put(gateway.state / "sources/press-07/session.json", b'{"client_id": "of the old device"}')
    sealing = ("--passphrase-file", passphrase)
    lineside("backup", "--config", gateway.file, "--to", "b.tar", "--with-secrets", *sealing)
    assert run(lineside, tmp_path / "b.tar", other, "--as-new-device", *sealing).exit_code == 0
    assert content(other.state / "pki") == {"trusted/plc.der": b"certificate"}
    assert content(other.state / "sources") == {"press-07/map.json": b"{}"}
    assert (other.config / "secrets/crm_token").exists()


def renames(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the n-th rename from now the last thing that happens."""
    real = Path.rename
    left = [10**9]

    def rename(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise Cut
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    return lambda count: left.__setitem__(0, count)


def test_cut_off_at_any_rename_it_is_the_new_one_after_the_next_start(gateway: Any, other: Any, backup: Path, tmp_path: Path) -> None:
    """Every N, until one is reached that is not cut."""
    expected = {name: text for name, text in content(gateway.state).items() if not name.startswith(("pki/own", "blocks"))}
    whole = tmp_path / "whole"
    shutil.copytree(other.folder, whole)
    for last in range(100):
        shutil.rmtree(other.folder)
        shutil.copytree(whole, other.folder)
        with pytest.MonkeyPatch.context() as patch:
            renames(patch)(last)
            try:
                _restore(backup, other)
                break
            except Cut:
                assert swap.decided(other.state) is not None
        assert swap.finish(other.state)
        assert content(other.state) == expected, last
        assert given(other.state)[1] == 1
        assert (other.config / "lineside.yaml").read_text() == gateway.file.read_text()
        assert not swap.finish(other.state)
    assert last > 10


def test_the_next_start_finds_it_also_while_no_configuration_is_in_place(gateway: Any, backup: Path, tmp_path: Path) -> None:
    """Between two renames there is neither the old one nor the new one."""
    whole, missing = tmp_path / "whole", 0
    shutil.copytree(gateway.folder, whole)
    for last in range(100):
        shutil.rmtree(gateway.folder)
        shutil.copytree(whole, gateway.folder)
        with pytest.MonkeyPatch.context() as patch:
            renames(patch)(last)
            try:
                _restore(backup, gateway)
                break
            except Cut:
                missing += not gateway.file.exists()
        assert resume.finish_restore(gateway.file)
        assert gateway.file.exists()
        assert swap.decided(gateway.state) is None
    assert missing == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "/nowhere"},
        {"new": ["/nowhere/x"]},
        {"old": ["../victim"]},
        {"staging": ".restore/../../stick"},
        {"staging": "stick"},
        {"staging": ".restore-link"},
        {"path": 7},
    ],
)
def test_root_does_not_do_what_a_journal_says_that_no_restore_wrote(
    gateway: Any, lineside: Lineside, tmp_path: Path, changed: dict[str, Any]
) -> None:
    """Its folder is the gateway's account's."""
    (gateway.state / ".restore").mkdir()
    (tmp_path / "stick").mkdir()
    (gateway.state / ".restore-link").symlink_to(tmp_path / "stick")
    gateway.put(gateway.folder / "victim", b"root's")
    told = {"path": str(gateway.state), "new": [], "old": ["outbox.db"], "staging": ".restore"} | changed
    gateway.put(gateway.state / ".restore/journal.json", msgspec.json.encode({"stamp": "1", "folders": [told]}))
    before = content(gateway.folder)
    done = lineside("restore", "--finish", "--state-dir", gateway.state)
    assert (done.exit_code, "journal.json" in done.stderr) == (2, True)
    assert content(gateway.folder) == before


def test_no_gateway_starts_beside_a_journal_that_cannot_be_read(gateway: Any, backup: Path) -> None:
    """It would begin with half of what was restored."""
    with pytest.MonkeyPatch.context() as patch:
        renames(patch)(3)
        with pytest.raises(Cut):
            _restore(backup, gateway)
    (gateway.state / ".restore/journal.json").write_bytes(b"{")
    with pytest.raises(ConfigError, match=r"journal\.json is damaged"):
        resume.finish_restore(gateway.file)


def _restore(backup: Path, other: Any, now_ns: int = 1_900_000_000_000_000_000) -> restore.Restored:
    return restore.restore(backup, other.state, other.config, passphrase=None, as_new_device=False, now_ns=now_ns, who="test")


@pytest.mark.parametrize("step", ["_put", "_begin_epoch", "swap.decide"])
def test_cut_off_before_it_was_decided_nothing_has_changed(other: Any, backup: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: Any) -> None:
        raise Cut

    def keep(_: Path) -> None:
        """A process that was killed tidies nothing up."""

    before = content(other.state), content(other.config)
    with monkeypatch.context() as patch:
        patch.setattr(f"gateway.life.restore.{step}", cut)
        with pytest.raises(Cut):
            _restore(backup, other)
    assert (content(other.state), content(other.config)) == before
    assert not swap.finish(other.state)
    (other.state / ".restore").mkdir(exist_ok=True)  # as it is after a kill
    assert _restore(backup, other).epoch.first == 1_900_000_000_000_000


def test_a_running_gateway_a_damaged_and_a_newer_backup_are_refused(
    other: Any, backup: Path, lineside: Lineside, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(other.state)
    with state_lock(other.state):
        done = run(lineside, backup, other)
        assert (done.exit_code, "another gateway runs" in done.stderr) == (2, True)
    with monkeypatch.context() as patch:
        patch.setattr(restore, "SCHEMA_VERSION", 1)
        done = run(lineside, backup, other)
        assert (done.exit_code, "of a newer lineside" in done.stderr) == (2, True)
    raw = bytearray(backup.read_bytes())
    raw[5000] ^= 1
    backup.write_bytes(raw)
    done = run(lineside, backup, other)
    assert (done.exit_code, "damaged" in done.stderr) == (1, True)
    assert content(other.state) == before


def test_a_clock_behind_the_backup_is_refused(other: Any, backup: Path, lineside: Lineside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.commands.restore.time.time_ns", lambda: 1_000_000_000)
    before = content(other.state)
    done = run(lineside, backup, other)
    assert (done.exit_code, "set it, then restore" in done.stderr) == (2, True)
    assert content(other.state) == before
    assert not (other.state / ".restore").exists()


def test_without_a_yes_nothing_happens(other: Any, backup: Path, lineside: Lineside) -> None:
    before = content(other.state)
    done = lineside("restore", backup, "--state-dir", other.state, "--config-dir", other.config)
    assert (done.exit_code, "nothing was changed" in done.stderr) == (1, True)
    assert content(other.state) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "name the backup"), (("--finish",), "--finish needs --state-dir"), (("missing.tar",), "there is no file missing.tar")],
)
def test_wrong_input(lineside: Lineside, arguments: tuple[str, ...], said: str) -> None:
    done = lineside("restore", *arguments)
    assert (done.exit_code, said in done.stderr) == (2, True)


def test_what_is_no_folder_is_refused_before_anything_is_made(other: Any, backup: Path, lineside: Lineside, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for wrong in (other.file, tmp_path / "loop"):
        for places in (("--state-dir", wrong, "--config-dir", "new"), ("--state-dir", "new", "--config-dir", wrong)):
            done = lineside("restore", backup, *places, "--yes")
            assert (done.exit_code, done.stderr) == (2, f"lineside: {wrong} is there, and no folder\n")
            assert not (tmp_path / "new").exists()


def test_a_state_folder_that_a_link_leads_to_is_the_one_the_configuration_names(
    gateway: Any, backup: Path, lineside: Lineside, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(gateway.state)
    done = lineside("restore", backup, "--state-dir", tmp_path / "link", "--config-dir", gateway.config, "--yes")
    assert (done.exit_code, "change gateway.state_dir" in done.stderr) == (0, False)


def test_nothing_to_finish_is_an_error_where_no_gateway_is(other: Any, lineside: Lineside, tmp_path: Path) -> None:
    """A misspelt folder: the one that was meant is still half restored."""
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "misspelt", tmp_path / "empty", other.file):
        done = lineside("restore", "--finish", "--state-dir", folder)
        assert (done.exit_code, "lineside: nothing to finish: " in done.stderr, done.stdout) == (2, True, ""), folder
    assert not (tmp_path / "misspelt").exists()
    done = lineside("restore", "--finish", "--state-dir", other.state)
    assert (done.exit_code, "nothing to finish in" in done.stdout) == (0, True)


def test_two_restores_within_a_second_keep_what_was_there_apart(other: Any, backup: Path) -> None:
    before = [content(other.state)]
    for learnt in (b"first", b"second", b"third"):
        done = _restore(backup, other)
        assert content(other.state / done.aside) == before[-1]
        other.put(other.state / "detectors" / "limit-1.state", learnt)
        other.put(other.config / "tags.csv", learnt)
        before.append(content(other.state))
    assert len(list(other.state.glob("before-restore-*"))) == 3
    found = {(folder / "tags.csv").read_bytes() for folder in other.config.glob("before-restore-*")}
    assert {b"first", b"second"} < found


def test_incidents_go_on_with_numbers_and_ids_nobody_had(gateway: Any, other: Any, lineside: Lineside, tmp_path: Path) -> None:
    def incident(identity: str, state: str, events: int) -> tuple[Any, ...]:
        made = Incident(
            id=identity, machine="m", condition=identity, detector="d", domain="limit", state=state, active=True, title="t", severity=17,
            peak=17, score=None, since_ns=1, changed_ns=1, events=events,
        )  # fmt: skip
        body = msgspec.json.encode(made)
        row = IncidentRow(identity, "m", identity, state, 1, 1, 1, body)
        return (*row, row.crc)

    with closing(sqlite3.connect(gateway.state / "outbox.db")) as connection, connection:
        rows = [incident("inc-aaaaaaaaaaaaaaaa", "open", 3), incident("inc-bbbbbbbbbbbbbbbb", "pending", 0)]
        connection.executemany("INSERT INTO incident VALUES (?,?,?,?,?,?,?,?,?)", rows)
        connection.execute("INSERT INTO breaker VALUES ('crm', 5, 0, 9, 9, 'refused'), ('erp', 1, 1, 9, 9, 'quota')")
        connection.execute("INSERT INTO budget VALUES ('crm', 'hour', 2.5, 7)")
    lineside("backup", "--config", gateway.file, "--to", "b.tar")
    first = _restore(tmp_path / "b.tar", other).epoch.first
    with closing(sqlite3.connect(other.state / "outbox.db")) as connection:
        bodies = [Incident.load(row[0]) for row in connection.execute("SELECT body FROM incident ORDER BY state")]
        breakers = connection.execute("SELECT destination FROM breaker").fetchall()
        budget = connection.execute("SELECT tokens, at_ns FROM budget").fetchone()
    opened, pending = bodies
    assert (opened.id, opened.events, opened.withheld) == ("inc-aaaaaaaaaaaaaaaa", first, "diagnosis")
    assert (pending.id != "inc-bbbbbbbbbbbbbbbb", len(pending.id), pending.events) == (True, 20, 0)
    assert (opened.caused, pending.caused) == (3, 0)
    assert (_brief(opened)["events"], _brief(opened)["updates"]) == (3, 2)  # of 10^15 the page knows nothing
    assert breakers == [("erp",)]
    assert budget == (2.5, 1_900_000_000_000_000_000)


def test_a_backup_that_is_not_ours_is_refused(other: Any, tmp_path: Path, lineside: Lineside) -> None:
    (tmp_path / "b.tar").write_bytes(b"x" * 10_240)
    done = run(lineside, tmp_path / "b.tar", other)
    assert (done.exit_code, "no backup" in done.stderr) == (1, True)
    assert archive.inside("state/x")
