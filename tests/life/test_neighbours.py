"""Several gateways whose configurations lie in one folder, and other people's files beside them: each takes only what is its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from gateway.life import archive, restore, swap, take
from gateway.life.contents import items
from gateway.life.neighbours import Whose, belongings

Lineside = Callable[..., Result]
KEY = b"-----BEGIN PRIVATE KEY-----\n"


@pytest.fixture
def press(gateway: Any, tmp_path: Path) -> Any:
    """A second gateway, `press.yaml` in the folder of the first one."""
    second = type(gateway)(tmp_path / "two").make()
    second.config, second.file = gateway.config, gateway.config / "press.yaml"
    text = gateway.file.read_text().replace(str(gateway.state), str(second.state)).replace("press-01", "press-02")
    crm = 'crm: {https: "http://127.0.0.1:9/", token: {secret: press_token}, key: {secret: common}, ca: press/ca.pem}'
    second.file.write_text("\n".join("  " + crm if "crm:" in line else line for line in text.splitlines()))
    gateway.file.write_text(gateway.file.read_text().replace("token:", "key: {secret: common}, ca: pki/key.pem, token:"))
    for name in ("secrets/press_token", "secrets/common", "credentials/press-press_token", "credentials/crm_token"):
        gateway.put(gateway.config / name, name.encode())
    for name in ("press/ca.pem", "pki/key.pem"):
        gateway.put(gateway.config / name, KEY)
    return second


def content(folder: Path) -> dict[str, bytes]:
    """But for the lock, which each command takes."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "lock"
    }


def names(folder: Path) -> set[str]:
    return set(content(folder))


def test_wipe_takes_what_is_one_gateways_and_leaves_what_is_anothers_or_shared(gateway: Any, press: Any, lineside: Lineside) -> None:
    state, config = content(gateway.state), content(gateway.config)
    done = lineside("wipe", "--config", press.file, "--yes")
    assert done.exit_code == 0, done.output
    assert names(press.state) == set()
    assert content(gateway.state) == state
    gone = {"secrets/press_token", "credentials/press-press_token", "press/ca.pem"}
    assert content(gateway.config) == {name: text for name, text in config.items() if name not in gone}
    assert "what belongs to other gateways stays: lineside.yaml" in done.stdout
    assert f"  stays: {gateway.config}/secrets/common (they name it, too)\n" in done.stdout
    assert "crm_token" not in done.output
    assert (gateway.config / "credentials").is_dir()


def test_wipe_with_the_configuration_leaves_the_other_one_and_its_lists(gateway: Any, press: Any, lineside: Lineside) -> None:
    gateway.put(gateway.config / "press.yaml.sig", b"signature")
    gateway.put(gateway.config / "press-before.yaml", press.file.read_bytes())  # a copy, with the same state folder
    gateway.put(gateway.config / "README", b"of the plant")
    done = lineside("wipe", "--config", press.file, "--configuration", "--yes")
    assert done.exit_code == 0, done.output
    assert names(gateway.config) == {
        "lineside.yaml",
        "tags.csv",
        "README",
        "secrets/crm_token",
        "secrets/common",
        "credentials/crm_token",
        "pki/key.pem",
    }
    assert f"  stays: {gateway.config}/README (no configuration names it)\n" in done.stdout


def test_wipe_of_the_first_leaves_the_second(gateway: Any, press: Any, lineside: Lineside) -> None:
    state = content(press.state)
    assert lineside("wipe", "--config", gateway.file, "--configuration", "--yes").exit_code == 0
    assert content(press.state) == state
    assert names(press.config) == {
        "press.yaml",
        "tags.csv",
        "secrets/press_token",
        "secrets/common",
        "credentials/press-press_token",
        "press/ca.pem",
    }


def test_a_secret_that_two_gateways_share_is_named_when_the_second_one_is_wiped_too(gateway: Any, press: Any, lineside: Lineside) -> None:
    """Each configuration still names it, and nobody has a use for it."""
    assert lineside("wipe", "--config", press.file, "--yes").exit_code == 0
    done = lineside("wipe", "--config", gateway.file, "--yes")
    assert done.exit_code == 1
    assert f"still there: {gateway.config}/secrets/common, which may be this gateway's or somebody else's" in done.stderr


@pytest.mark.parametrize("way", ["two/../configs", "link"])
def test_a_folder_is_the_same_by_another_way(gateway: Any, press: Any, lineside: Lineside, tmp_path: Path, way: str) -> None:
    """Keys that options name are known by their paths."""
    gateway.config.rename(tmp_path / "configs")
    gateway.config.symlink_to(tmp_path / "configs")
    (tmp_path / "link").symlink_to("configs")
    press.file.write_text(press.file.read_text().replace("press/ca.pem", f"{gateway.config}/press/ca.pem"))
    done = lineside("wipe", "--config", tmp_path / way / "press.yaml", "--yes")
    assert done.exit_code == 0, done.output
    assert "press/ca.pem" not in names(tmp_path / "configs")
    assert "pki/key.pem" in names(tmp_path / "configs")


def test_a_secret_that_nobody_names_may_be_anybodys(gateway: Any, press: Any, lineside: Lineside) -> None:
    gateway.put(gateway.config / "secrets/old_token", b"x")
    done = lineside("wipe", "--config", press.file, "--yes")
    assert (done.exit_code, (gateway.config / "secrets/old_token").exists()) == (1, True)
    assert f"still there: {gateway.config}/secrets/old_token, which may be this gateway's or somebody else's" in done.stderr


def test_a_configuration_with_errors_names_every_word_in_it(gateway: Any, press: Any, lineside: Lineside) -> None:
    gateway.file.write_text(gateway.file.read_text() + "\nnonsense: [\n")
    done = lineside("wipe", "--config", press.file, "--yes")
    assert done.exit_code == 0, done.output
    assert {"secrets/crm_token", "secrets/common", "pki/key.pem", "lineside.yaml"} <= names(gateway.config)
    assert "secrets/press_token" not in names(gateway.config)


def test_wipe_takes_nothing_of_other_people(gateway: Any, lineside: Lineside) -> None:
    """A configuration in somebody's home, a state folder that is a medium of its own with backups on it."""
    others = {
        gateway.config / ".ssh/id_ed25519": KEY,
        gateway.config / "thesis.key": b"x",
        gateway.state / "backups/lineside-press-01.tar": b"x",
    }
    for path, text in others.items():
        gateway.put(path, text)
    empty = [gateway.config / "photos/2027", gateway.state / "lost+found"]
    for folder in empty:
        folder.mkdir(parents=True)
    done = lineside("wipe", "--config", gateway.file, "--yes")
    assert done.exit_code == 1
    assert {path: path.read_bytes() for path in others} == others
    assert all(folder.is_dir() for folder in empty)
    assert done.stderr.count("still there: ") == len(others)
    assert {path.name for path in gateway.state.iterdir()} == {"backups", "lost+found"}
    assert not (gateway.config / "secrets").exists()
    assert "tags.csv" in names(gateway.config)


def test_wipe_does_not_go_into_a_state_folder_below_its_own(gateway: Any, press: Any, lineside: Lineside) -> None:
    below = gateway.state / "detectors" / "second"
    press.state.rename(below)
    press.file.write_text(press.file.read_text().replace(str(press.state), str(below)))
    state = content(below)
    lineside("wipe", "--config", gateway.file, "--yes")
    assert content(below) == state


def test_a_backup_holds_nothing_that_is_another_gateways(gateway: Any, press: Any, lineside: Lineside, tmp_path: Path) -> None:
    done = lineside("backup", "--config", press.file, "--to", "b.tar")
    assert done.exit_code == 0, done.output
    with archive.opened(tmp_path / "b.tar") as (_, found):
        packed = {name for name in (*found.files, *found.left_out) if name.startswith("config/")}
    shared = {"config/press.yaml", "config/tags.csv", "config/secrets/common"}
    assert packed == shared | {"config/secrets/press_token", "config/credentials/press-press_token", "config/press/ca.pem"}
    assert done.stderr == "of other gateways, and not in it: lineside.yaml and what only they name\n"


def restored(lineside: Lineside, press: Any, *more: object) -> Result:
    return lineside("restore", "b.tar", "--config-dir", press.config, "--yes", *more)


def test_a_restore_changes_nothing_of_another_gateway(
    gateway: Any, press: Any, lineside: Lineside, passphrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one of a backup that holds all of the folder, as they did."""
    sealing = ("--passphrase-file", passphrase)
    with monkeypatch.context() as patch:
        patch.setattr(take, "items", lambda state, config, _: items(state, config))
        assert lineside("backup", "--config", press.file, "--to", "b.tar", "--with-secrets", *sealing).exit_code == 0
    wanted = content(press.config)
    for name in wanted:  # everything has changed since, or is gone
        gateway.put(gateway.config / name, wanted[name] + b"\n# later\n")
    (gateway.config / "secrets/press_token").unlink()
    later, state = content(gateway.config), content(gateway.state)
    done = restored(lineside, press, *sealing)
    assert done.exit_code == 0, done.output
    ours = {"press.yaml", "secrets/press_token", "credentials/press-press_token", "press/ca.pem"}
    now = {name: text for name, text in content(gateway.config).items() if not name.startswith("before-restore-")}
    assert now == later | {name: wanted[name] for name in ours}
    assert content(gateway.state) == state
    assert "lineside.yaml: another gateway's, not put in place" in done.stdout
    assert "tags.csv: not this gateway's alone, left as it is" in done.stdout
    assert "secrets/common: not this gateway's alone, left as it is" in done.stdout


def test_a_restore_on_a_fresh_device_brings_what_was_shared(press: Any, lineside: Lineside, tmp_path: Path) -> None:
    (press.config / "starter.yaml").write_text(press.file.read_text().replace(str(press.state), "/var/lib/lineside"))
    assert lineside("backup", "--config", press.file, "--to", "b.tar").exit_code == 0
    done = lineside("restore", "b.tar", "--config-dir", tmp_path / "fresh", "--yes")
    assert done.exit_code == 0, done.output
    assert names(tmp_path / "fresh") == {"press.yaml", "tags.csv", "starter.yaml"}
    assert "another gateway's" not in done.output
    assert "lineside.yaml" not in done.output


def test_two_restores_of_two_gateways_do_not_take_what_the_other_prepared(
    gateway: Any, press: Any, lineside: Lineside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(BaseException):
        pass

    def cut(_: Path) -> None:
        raise Cut

    lineside("backup", "--config", gateway.file, "--to", "first.tar")
    lineside("backup", "--config", press.file, "--to", "b.tar")
    wanted = gateway.file.read_bytes()
    gateway.file.write_bytes(wanted + b"# later\n")
    with monkeypatch.context() as patch:
        patch.setattr(swap, "finish", cut)
        with pytest.raises(Cut):
            restore.restore(
                tmp_path / "first.tar",
                gateway.state,
                gateway.config,
                passphrase=None,
                as_new_device=False,
                now_ns=1_900_000_000_000_000_000,
                who="test",
            )
    assert restored(lineside, press).exit_code == 0
    assert gateway.file.read_bytes() != wanted
    assert lineside("restore", "--finish", "--state-dir", gateway.state).exit_code == 0
    assert gateway.file.read_bytes() == wanted
    assert list(gateway.config.glob(".restore*")) == []


def test_what_somebody_else_put_into_the_state_folder_stays_through_a_restore(gateway: Any, lineside: Lineside) -> None:
    lineside("backup", "--config", gateway.file, "--to", "b.tar")
    gateway.put(gateway.state / "backups/old.tar", b"x")
    (gateway.state / "lost+found").mkdir()
    assert lineside("restore", "b.tar", "--config-dir", gateway.config, "--yes").exit_code == 0
    assert (gateway.state / "backups/old.tar").exists()
    assert (gateway.state / "lost+found").is_dir()


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("press.yaml", Whose.OURS),
        ("press.yaml.sig", Whose.OURS),
        ("lineside.yaml.sig", Whose.THEIRS),
        ("before-restore-20270101T000000Z/secrets/crm_token", Whose.THEIRS),
        (".restore-press.yaml/secrets/press_token", Whose.OURS),
        ("credentials/crm_token", Whose.THEIRS),
        ("credentials/lineside-common", Whose.THEIRS),
        ("credentials/press-common", Whose.OURS),
        ("trusted-keys/plant.pem", Whose.SHARED),
        ("tags.csv", Whose.SHARED),
        ("secrets/token", Whose.NOBODYS),
        ("starter.yaml", Whose.NOBODYS),
    ],
)
def test_a_file_belongs_to_who_names_it(press: Any, name: str, whose: Whose) -> None:
    (press.config / "starter.yaml").write_text(press.file.read_text().replace(str(press.state), "/var/lib/lineside"))
    (press.config / "compose.yaml").write_text("services: {a: {image: tags.csv}}")
    found = belongings(press.file)
    assert (found.names_of_others, found.whose(name)) == ("lineside.yaml", whose)
