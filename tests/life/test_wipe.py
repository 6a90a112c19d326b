"""`lineside wipe`: nothing of ours is left, keys go first, and it is not done by accident."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from gateway.life import wipe
from gateway.life.neighbours import belongings
from gateway.outbox.lock import state_lock

Lineside = Callable[..., Result]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def test_state_secrets_and_keys_are_gone_and_the_configuration_stays(gateway: Any, lineside: Lineside) -> None:
    gateway.put(gateway.config / "crm.pem", b"-----BEGIN PRIVATE KEY-----")
    gateway.file.write_text(gateway.file.read_text().replace("token:", "client_key: crm.pem, token:"))
    gateway.put(gateway.config / "before-restore-20270101T000000Z/secrets/old", b"x")
    gateway.put(gateway.state / ".restore/pki/own/own.key.pem", b"x")
    gateway.put(gateway.state / "outbox.db.damaged-1", b"x")
    done = lineside("wipe", "--config", gateway.file, "--yes")
    assert done.exit_code == 0, done.stderr
    assert files(gateway.state) == []
    assert list(gateway.state.iterdir()) == []
    assert files(gateway.config) == ["lineside.yaml", "tags.csv"]
    for told in ("outbox.db", "secrets/", "flash", "journalctl --vacuum", "Backups"):
        assert told in done.stdout, told


def test_the_configuration_goes_when_it_is_named(gateway: Any, lineside: Lineside) -> None:
    assert lineside("wipe", "--config", gateway.file, "--configuration", "--yes").exit_code == 0
    assert files(gateway.folder) == []


def test_a_file_is_overwritten_before_it_is_deleted(tmp_path: Path) -> None:
    secret, other_name = tmp_path / "secret", tmp_path / "link"
    secret.write_bytes(b"canary" * 500_000)
    other_name.hardlink_to(secret)
    wipe.erase(secret, wipe.identity(tmp_path))
    left = other_name.read_bytes()
    assert (secret.exists(), len(left), b"canary" in left) == (False, 3_000_000, False)
    target, link = tmp_path / "target", tmp_path / "symbolic"
    target.write_text("not ours")
    link.symlink_to(target)
    wipe.erase(link, wipe.identity(tmp_path))
    assert (target.read_text(), link.is_symlink()) == ("not ours", False)


def test_keys_go_first_then_accounts_and_the_lock_last(gateway: Any) -> None:
    with state_lock(gateway.state):
        order = [path.name for path in wipe.found(gateway.state, belongings(gateway.file), configuration=False).files]
    first = {"crm_token", "own.der", "own.key.pem", "plc.der"}
    assert set(order[: len(first)]) == first
    assert (order[len(first)], order[-1]) == ("accounts.json", "lock")


def test_not_while_a_gateway_runs(gateway: Any, lineside: Lineside) -> None:
    before = files(gateway.folder)
    with state_lock(gateway.state):
        done = lineside("wipe", "--config", gateway.file, "--yes")
        assert (done.exit_code, "another gateway runs" in done.stderr) == (2, True)
    assert set(before) <= set(files(gateway.folder))


def test_without_a_yes_nothing_is_deleted(gateway: Any, lineside: Lineside) -> None:
    before = files(gateway.folder)
    done = lineside("wipe", "--config", gateway.file)
    assert (done.exit_code, "nothing was deleted" in done.stderr) == (1, True)
    assert set(before) <= set(files(gateway.folder))


def test_what_cannot_be_erased_is_named_and_the_rest_goes(gateway: Any, lineside: Lineside, monkeypatch: pytest.MonkeyPatch) -> None:
    real = wipe.erase

    def erase(path: Path, folder: tuple[int, int]) -> None:
        if path.name == "own.der":
            raise PermissionError(1, "Operation not permitted", str(path))
        real(path, folder)

    monkeypatch.setattr(wipe, "erase", erase)
    done = lineside("wipe", "--config", gateway.file, "--yes")
    assert done.exit_code == 1
    assert f"still there: {gateway.state}/pki/own/own.der: Operation not permitted" in done.stderr
    assert files(gateway.state) == ["pki/own/own.der"]


def test_what_links_led_to_is_named_because_it_is_still_there(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    """Who gives the device away believes that all is gone."""
    (gateway.config / "secrets").rename(tmp_path / "stick")
    (gateway.config / "secrets").symlink_to(tmp_path / "stick")
    (gateway.state / "detectors" / "inside").symlink_to(gateway.state / "accounts.json")
    done = lineside("wipe", "--config", gateway.file, "--yes")
    assert done.exit_code == 1
    assert done.stderr == f"lineside: still there: {tmp_path}/stick, where {gateway.config}/secrets led to\n"
    assert (files(tmp_path / "stick"), files(gateway.state)) == (["crm_token"], [])


def test_a_key_that_the_configuration_names_elsewhere_is_named(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    for name in ("crm.key", "ca.pem", "strangers.key"):
        gateway.put(tmp_path / "ssl" / name, b"x")
    named = f"client_key: {tmp_path}/ssl/crm.key, ca: {tmp_path}/ssl/ca.pem, token:"
    gateway.file.write_text(gateway.file.read_text().replace("token:", named))
    done = lineside("wipe", "--config", gateway.file, "--yes")
    assert (done.exit_code, files(tmp_path / "ssl")) == (1, ["ca.pem", "crm.key", "strangers.key"])
    why = "which may be this gateway's or somebody else's: look at it, and delete it yourself"
    assert done.stderr == f"lineside: still there: {tmp_path}/ssl/crm.key, {why}\n"


def test_a_link_that_takes_a_folders_place_while_somebody_is_asked_leads_nowhere(
    gateway: Any, lineside: Lineside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root deletes in a folder that is another account's."""
    gateway.put(tmp_path / "etc/limit-1.state", b"root's")
    (tmp_path / "etc/empty").mkdir()

    def agreed(_: str) -> bool:
        (gateway.state / "detectors").rename(tmp_path / "before")
        (gateway.state / "detectors").symlink_to(tmp_path / "etc")
        return True

    monkeypatch.setattr("gateway.commands.wipe._agreed", agreed)
    done = lineside("wipe", "--config", gateway.file)
    assert (done.exit_code, files(gateway.state)) == (1, ["detectors"])
    assert f"still there: {gateway.state}/detectors/limit-1.state: its folder is another one by now" in done.stderr
    assert ((tmp_path / "etc/limit-1.state").read_bytes(), (tmp_path / "etc/empty").is_dir()) == (b"root's", True)


def test_wrong_input(gateway: Any, lineside: Lineside, tmp_path: Path) -> None:
    done = lineside("wipe", "--config", "missing.yaml", "--yes")
    assert (done.exit_code, "there is no file missing.yaml" in done.stderr) == (2, True)
    gateway.file.write_text(gateway.file.read_text().replace(str(gateway.state), str(tmp_path / "elsewhere")))
    done = lineside("wipe", "--config", gateway.file, "--yes")
    assert (done.exit_code, "there is no state folder" in done.stderr) == (2, True)
    assert not (tmp_path / "elsewhere").exists()
