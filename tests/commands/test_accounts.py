"""`lineside user` and `lineside token`, and what `lineside check` says of a page for the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.accounts.passwords import matches
from gateway.accounts.store import digest_of, read
from gateway.cli import main

PASSWORD = "correct horse battery"
Given = Callable[..., Result]


@pytest.fixture
def given(tmp_path: Path) -> Given:
    """A command with this on standard input, in a state folder of its own."""

    def run(*arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(main, [*arguments, "--state-dir", str(tmp_path)], input=typed)

    return run


def test_a_user_is_added_listed_changed_and_removed(given: Given, tmp_path: Path) -> None:
    added = given("user", "add", "eva", "--role", "admin", typed=PASSWORD + "\n")
    assert (added.exit_code, added.output.splitlines()[0]) == (0, "eva may log in as admin")
    assert "needs a login from now on" in added.output
    assert given("user", "add", "tom", "--role", "viewer", typed=PASSWORD + "\r\n").exit_code == 0
    assert given("user", "role", "tom", "operator").output == "tom: operator\n"
    assert given("user", "lock", "tom").output == "tom: operator, locked\n"
    assert [json.loads(line)["locked"] for line in given("user", "list", "--json").output.splitlines()] == [False, True]
    assert given("user", "unlock", "tom").exit_code == 0
    assert given("user", "password", "tom", typed="another good one\n").exit_code == 0
    assert matches("another good one", read(tmp_path).users["tom"].password)
    assert given("user", "remove", "tom").exit_code == 0
    last = given("user", "remove", "eva")
    assert "that was the last account" in last.output
    assert given("user", "list").output.startswith("there are no users")


@pytest.mark.parametrize("typed", ["", "short\n", "password1234\n", "eva\n"])
def test_a_weak_password_is_not_taken(given: Given, tmp_path: Path, typed: str) -> None:
    refused = given("user", "add", "eva", "--role", "admin", typed=typed)
    assert (refused.exit_code, "this password is not taken" in refused.output) == (1, True)
    assert not (tmp_path / "accounts.json").exists()


def test_a_password_is_never_an_argument(given: Given) -> None:
    assert given("user", "add", "eva", PASSWORD, "--role", "admin").exit_code == 2
    assert given("user", "add", "eva", "--role", "admin", "--password", PASSWORD).exit_code == 2


@pytest.mark.parametrize("name", ["Eva", "", "-x", "a/b", "e v a", "x" * 64, "\u00e9va"])
def test_names_are_plain(given: Given, name: str) -> None:
    assert given("user", "add", "--role", "admin", "--", name, typed=PASSWORD + "\n").exit_code == 2


def test_who_is_not_there_is_an_error_that_says_who_is(given: Given) -> None:
    given("user", "add", "eva", "--role", "admin", typed=PASSWORD + "\n")
    for arguments in (("role", "tom", "viewer"), ("lock", "tom"), ("remove", "tom"), ("password", "tom")):
        result = given("user", *arguments, typed=PASSWORD + "\n")
        assert (result.exit_code, result.output) == (1, "there is no user tom; there are eva\n")


def test_the_last_admin_may_go_and_somebody_is_told(given: Given) -> None:
    given("user", "add", "eva", "--role", "admin", typed=PASSWORD + "\n")
    assert "nobody is left who may log in as admin" in given("user", "role", "eva", "viewer").output


def test_a_token_is_shown_once_and_kept_as_a_hash(given: Given, tmp_path: Path) -> None:
    made = given("token", "add", "prom", "--role", "viewer", "--days", "30")
    token = made.stdout.strip()
    assert token.startswith("lineside_")
    assert read(tmp_path).tokens["prom"].digest == digest_of(token)
    assert token not in (tmp_path / "accounts.json").read_text()
    listed = given("token", "list")
    assert listed.output.startswith("prom  viewer  until 20")
    assert token not in listed.output
    assert given("token", "add", "prom", "--role", "viewer").exit_code == 1
    assert given("token", "revoke", "prom").exit_code == 0
    assert given("token", "revoke", "prom").exit_code == 1
    assert given("token", "list").output == "there are no tokens\n"


def test_a_file_that_cannot_be_used_is_not_written_over(given: Given, tmp_path: Path) -> None:
    (tmp_path / "accounts.json").write_text("{")
    refused = given("user", "add", "eva", "--role", "admin", typed=PASSWORD + "\n")
    assert (refused.exit_code, "damaged" in refused.output) == (1, True)
    assert (tmp_path / "accounts.json").read_text() == "{"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["user", "list", "--state-dir", str(tmp_path / "no")])
    assert (result.exit_code, "--state-dir" in result.output) == (1, True)


def test_check_warns_of_a_page_nobody_can_log_in_to_and_of_one_without_tls(
    lineside: Given, config: Callable[[str], str], tmp_path: Path
) -> None:
    file = config("state")
    (tmp_path / "state").mkdir()
    text = (tmp_path / file).read_text().replace("page: off", "page: {host: 0.0.0.0}")
    (tmp_path / file).write_text(text)
    checked = lineside("check", file)
    assert checked.exit_code == 0
    assert "listens on 127.0.0.1 instead of 0.0.0.0: lineside user add NAME --role admin --state-dir state" in checked.stderr
    assert "without tls" in checked.stderr
    CliRunner().invoke(main, ["token", "add", "prom", "--role", "viewer", "--state-dir", "state"])
    assert "instead of" not in lineside("check", file).stderr
    (tmp_path / file).write_text(text.replace("0.0.0.0", "127.0.0.1"))
    assert "tls" not in lineside("check", file).stderr
