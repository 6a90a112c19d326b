"""`lineside shelve`, `unshelve`, `forget`, `adopt`: what is typed, printed, kept and refused."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.clock import Record, gateway_now_ns, record, signs
from gateway.commands import renew
from gateway.incidents import Incident
from gateway.outbox import requests
from gateway.outbox.append import IncidentRow, append
from gateway.outbox.database import open_database
from gateway.outbox.ledger import seen_alive
from gateway.outbox.requests import Request

Command = Callable[..., Result]
WHY = ("--by", "Eva", "--why", "pump is replaced")


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return lambda *arguments: CliRunner().invoke(main, [*arguments, "--state-dir", str(tmp_path)])


@pytest.fixture
def file(tmp_path: Path) -> sqlite3.Connection:
    """An outbox as a gateway left it."""
    return open_database(tmp_path)[0]


def put(file: sqlite3.Connection, condition: str, severity: int) -> None:
    """An open incident."""
    given: dict[str, Any] = {"machine": "press-07", "condition": condition, "state": "open", "since_ns": 1, "changed_ns": 1, "raised_ns": 1}
    about: dict[str, Any] = {"detector": "oil", "domain": "limit", "active": True, "title": "", "score": 0}
    about |= {"severity": severity, "peak": severity}
    body = Incident(id=f"inc-{condition}", **given, **about).dump()
    append(file, [IncidentRow(f"inc-{condition}", "press-07", condition, "open", 1, 1, 1, body)], [])


def test_shelving_again_changes_the_end_and_the_list_tells_it(command: Command, file: sqlite3.Connection) -> None:
    assert command("shelve", "list").output == "nothing is shelved\n"
    made = command("shelve", "press-07/oil_*", "--for", "8h", *WHY)
    assert (made.exit_code, made.output.splitlines()[0][:24]) == (0, "1  press-07/oil_*  until")
    assert command("shelve", "press-07/oil_*", "--for", "1d", "--critical", *WHY).exit_code == 0
    (one,) = [json.loads(line) for line in command("shelve", "list", "--json").output.splitlines()]
    assert (one["id"], one["machine"], one["condition"], one["critical"], one["by"], one["why"]) == (
        2,
        "press-07",
        "oil_*",
        True,
        "Eva",
        "pump is replaced",
    )
    assert command("shelve", "list").output.endswith("also critical  Eva  pump is replaced\n")
    assert [row[0] for row in file.execute("SELECT what FROM audit ORDER BY number")] == [
        "shelved: pump is replaced",
        "shelf replaced",
        "shelved: pump is replaced",
    ]


def test_what_it_is_about_now_is_told_and_what_is_critical_too(command: Command, file: sqlite3.Connection) -> None:
    put(file, "oil_high", 13)
    put(file, "oil_high_high", 21)
    put(file, "speed_low", 13)
    told = command("shelve", "press-*/oil_*", "--for", "8h", *WHY).output
    assert "2 incidents of it open now: inc-oil_high (press-07 oil_high), inc-oil_high_high (press-07 oil_high_high)" in told
    assert "1 incident of them critical, and told all the same" in told
    assert "told all the same" not in command("shelve", "press-*/oil_*", "--for", "8h", "--critical", *WHY).output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("press-07", "--for", "8h", *WHY), "write MACHINE/CONDITION"),
        (("press-07/", "--for", "8h", *WHY), "write MACHINE/CONDITION"),
        (("press-07/*", "--for", "8d", *WHY), "at most 7d"),
        (("press-07/*", "--for", "0s", *WHY), "longer than nothing"),
        (("press-07/*", "--for", "8", *WHY), "not a duration"),
        (("press-07/*", *WHY), "say for how long and why"),
        (("press-07/*", "--for", "8h"), "say for how long and why"),
        (("press-07/*", "--for", "8h", "--why", " "), "write it on one line"),
        (("press-07/*", "--for", "8h", "--why", "a\nb"), "write it on one line"),
    ],
)
def test_a_shelf_without_an_end_or_a_reason_is_refused(
    command: Command, file: sqlite3.Connection, arguments: tuple[str, ...], said: str
) -> None:
    result = command("shelve", *arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert file.execute("SELECT count(*) FROM shelf").fetchone() == (0,)


def test_a_shelf_that_is_not_there_is_refused_with_those_that_are(command: Command, file: sqlite3.Connection) -> None:
    assert command("unshelve", "7").output == "there is no shelf 7, or its time is over; nothing is shelved\n"
    command("shelve", "press-07/*", "--for", "8h", *WHY)
    result = command("unshelve", "7")
    assert (result.exit_code, result.output) == (1, "there is no shelf 7, or its time is over; there are 1 (press-07/*)\n")
    assert command("unshelve", "1").exit_code == 0
    assert file.execute("SELECT count(*) FROM shelf").fetchone() == (0,)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("forget", *WHY), "give MACHINE or MACHINE/TAG, or --undo WATCH"),
        (("forget", "press-07", "--undo", "oil", *WHY), "give MACHINE or MACHINE/TAG, or --undo WATCH"),
        (("forget", "press-07"), "Missing option '--why'"),
        (("adopt", "press-07/", *WHY), "write MACHINE or MACHINE/TAG"),
        (("adopt", "/oil", *WHY), "write MACHINE or MACHINE/TAG"),
    ],
)
def test_what_is_to_be_forgotten_must_be_named(command: Command, file: sqlite3.Connection, arguments: tuple[str, ...], said: str) -> None:
    result = command(*arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert requests.pending(file) == []


def test_the_next_start_does_what_nobody_answered(command: Command, file: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    later = "nobody has taken it in yet: a gateway that runs does within seconds, else the next start does\n"
    assert command("adopt", "press-07/oil_*", "--watch", "oil", *WHY).output == later
    monkeypatch.setattr(renew, "WAIT_SECONDS", 0.05)
    seen_alive(file, time.time_ns())
    assert command("forget", "--undo", "oil", *WHY).output == later
    one, two = requests.pending(file)
    assert one[1:7] == ("adopt", "oil", "press-07", "oil_*", "Eva (command)", "pump is replaced")
    assert two[1:5] == ("undo", "oil", "", "")


def test_a_gateway_with_a_time_of_its_own_is_seen_to_run(
    command: Command, file: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer is waited for, though its last sign of life is not of this machine's time."""
    record.save(tmp_path, msgspec.json.encode(Record(boot=signs.boot_id(), offset_ns=10**18, state="not_yet")))
    seen_alive(file, gateway_now_ns(tmp_path))
    monkeypatch.setattr(renew, "_answer", lambda _, number: f"answered {number}")
    assert command("forget", "press-07", *WHY).output == "answered 1\n"


def test_an_answer_is_given_once(file: sqlite3.Connection) -> None:
    number = requests.add(file, Request(0, "forget", "", "press-07", "", "Eva", "", 1))
    (asked,) = requests.pending(file)
    for _ in range(2):
        requests.answer(file, asked, "forgotten: press-07 by oil", 5)
    assert requests.one(file, number) == asked._replace(done_ns=5, answer="forgotten: press-07 by oil")
    assert file.execute("SELECT count(*) FROM audit").fetchone() == (1,)
