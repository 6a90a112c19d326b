"""accounts.json: only hashes, whole or not at all, one change at a time, noticed by who runs."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from gateway.accounts.passwords import NOBODY, hashed, matches, weakness
from gateway.accounts.roles import Role
from gateway.accounts.store import FILE_NAME, Token, User, Watched, changing, digest_of, new_token, read
from gateway.contract import ConfigError


def test_a_password_is_kept_as_scrypt_with_its_parameters_and_a_salt_of_its_own() -> None:
    one, two = hashed("correct horse battery"), hashed("correct horse battery")
    assert one.split("$")[:4] == ["scrypt", "16384", "8", "1"]
    assert one != two
    assert matches("correct horse battery", one)
    assert not matches("correct horse batterY", one)
    assert not matches("", NOBODY)


@pytest.mark.parametrize(
    "stored", ["", "scrypt$1$1$1$x$y", "scrypt$999999999$8$1$AAAA$AAAA", "plain", "a$b$c$d$e$f", "scrypt$16384$8$1$%$%"]
)
def test_a_hash_that_is_none_of_ours_matches_nothing(stored: str) -> None:
    assert not matches("", stored)


@pytest.mark.parametrize(
    "password", ["", "short", "password12345", "Lineside!2026", "123456789012", "aaaaaaaaaaaa", "qwertzuiopas", "maintenance-9", "x" * 300]
)
def test_weak_passwords(password: str) -> None:
    assert weakness("maintenance-9", password)


@pytest.mark.parametrize("password", ["correct horse battery", "Tr0ub4dor&3-ok", "drei-äpfel-im-korb", "9f8a7c6b5d4e"])
def test_strong_passwords(password: str) -> None:
    assert weakness("eva", password) is None


def test_the_file_is_for_its_owner_only_and_holds_no_secret(tmp_path: Path) -> None:
    token = new_token()
    with changing(tmp_path) as accounts:
        accounts.users["eva"] = User(role="admin", password=hashed("correct horse battery"))
        accounts.tokens["prom"] = Token(role="viewer", digest=digest_of(token))
    path = tmp_path / FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    assert "horse" not in path.read_text()
    assert token not in path.read_text()
    assert read(tmp_path).bearer(token, 0.0) == ("prom", Role.VIEWER)
    assert read(tmp_path).bearer(token + "x", 0.0) is None
    assert os.listdir(tmp_path) == [FILE_NAME]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_written_by_root_it_belongs_to_whom_the_folder_belongs(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 23456)
    with changing(tmp_path) as accounts:
        accounts.users["eva"] = User(role="admin", password="x")
    found = (tmp_path / FILE_NAME).stat()
    assert (found.st_uid, found.st_gid) == (12345, 23456)


def test_what_is_raised_inside_changes_nothing(tmp_path: Path) -> None:
    def refused() -> None:
        with changing(tmp_path) as accounts:
            accounts.users["eva"] = User(role="admin", password="x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        refused()
    assert os.listdir(tmp_path) == []


def test_changes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    def add(number: int) -> None:
        with changing(tmp_path) as accounts:
            accounts.users[f"user-{number}"] = User(role="viewer", password="x")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read(tmp_path).users) == 20


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 2}', '{"users": {"eva": {"role": "king", "password": "x"}}}', '{"more": 1}']
)
def test_a_file_that_is_none_is_an_error_and_not_an_open_door(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    with pytest.raises(ConfigError, match=r"accounts\.json"):
        read(tmp_path)
    watched = Watched(tmp_path)
    assert watched.look()
    assert watched.needed
    assert not watched.accounts.exist


def test_a_running_gateway_notices_a_change_and_keeps_what_it_knows_when_the_file_breaks(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    assert not watched.look()
    assert not watched.needed
    with changing(tmp_path) as accounts:
        accounts.users["eva"] = User(role="admin", password="x")
    assert watched.look()
    assert not watched.look()
    (tmp_path / FILE_NAME).write_text("{")
    assert watched.look()
    assert list(watched.accounts.users) == ["eva"]
    assert "damaged" in watched.problem
