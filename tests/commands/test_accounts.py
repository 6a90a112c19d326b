"""`lineside user` and `lineside token`, and what `lineside check` says of a page for the network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from gateway.accounts.passwords import matches
from gateway.accounts.store import digest_of, read
from gateway.cli import main
from gateway.clock import record
from gateway.clock.signs import boot_id, since_boot_ns

PASSWORD = "correct horse battery"
LINESIDE = (sys.executable, "-c", "from gateway.cli import main; main()")
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


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"], ids=["de_DE.UTF-8", "C.UTF-8"])
def test_a_password_that_no_browser_could_send_is_not_taken(tmp_path: Path, errors: str) -> None:
    """From a file in Latin-1."""
    done = subprocess.run(
        [*LINESIDE, "user", "add", "eva", "--role", "admin", "--state-dir", str(tmp_path)],
        input=b"ein langes Pa\xdfwort 1\n",
        env={**os.environ, "PYTHONIOENCODING": f"utf-8:{errors}"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, b"this password is not taken: it is not UTF-8 text\n")
    assert not (tmp_path / "accounts.json").exists()


def test_a_password_is_never_an_argument(given: Given) -> None:
    assert given("user", "add", "eva", PASSWORD, "--role", "admin").exit_code == 2
    assert given("user", "add", "eva", "--role", "admin", "--password", PASSWORD).exit_code == 2


@pytest.mark.parametrize("name", ["Eva", "", "-x", "a/b", "e v a", "x" * 64, "\u00e9va", "eva\n"])
def test_names_are_plain(given: Given, name: str) -> None:
    for kind in ("user", "token"):
        refused = given(kind, "add", name, "--role", "admin", typed=PASSWORD + "\n")
        assert (refused.exit_code, "NAME" in refused.output or "No such option" in refused.output) == (2, True)


def test_two_who_add_the_same_user_at_once(given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one was faster to type the password."""

    def asked(name: str) -> str:
        monkeypatch.undo()
        assert given("user", "add", name, "--role", "viewer", typed="another good one\n").exit_code == 0
        return PASSWORD

    monkeypatch.setattr("gateway.commands.accounts._asked", asked)
    second = given("user", "add", "eva", "--role", "admin")
    assert (second.exit_code, "there is a user eva already" in second.output) == (1, True)
    assert read(tmp_path).users["eva"].role == "viewer"


def test_a_token_ends_by_the_clock_that_judges_it(given: Given, tmp_path: Path) -> None:
    """The gateway's, which does not follow the system's while that cannot be trusted."""
    now_ns = time.time_ns() + 400 * 86_400 * 10**9
    kept = record.Record(boot=boot_id(), offset_ns=now_ns - since_boot_ns(), state="not_yet", seen_ns=now_ns)
    record.save(tmp_path, msgspec.json.encode(kept))
    token = given("token", "add", "prom", "--role", "viewer", "--days", "30").output.splitlines()[-1]
    assert read(tmp_path).bearer(token, now_ns / 1e9) is not None
    assert read(tmp_path).bearer(token, now_ns / 1e9 + 31 * 86_400) is None
    assert "which is over" not in given("token", "list").output


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
