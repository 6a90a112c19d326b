"""`lineside ledger`: did we lose anything?"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.commands.ledger import since_ns
from gateway.contract import Event, Outcome, Severity
from gateway.events.build import EventBuilder
from gateway.outbox import memory
from gateway.outbox.append import Addressed, append
from gateway.outbox.breaker import Memory
from gateway.outbox.database import FILE_NAME, open_database
from gateway.outbox.lease import lease, settle
from gateway.outbox.ledger import begin_gap, fill, note_loss
from gateway.outbox.pick import Wanted

HOUR = 3_600_000_000_000
T0 = 1_800_000_000_000_000_000
Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    def run(*arguments: str, state_dir: Path = tmp_path) -> Result:
        return CliRunner().invoke(main, ["ledger", *arguments, "--state-dir", str(state_dir)])

    return run


@pytest.fixture
def outbox(tmp_path: Path) -> sqlite3.Connection:
    return open_database(tmp_path)[0]


@pytest.fixture
def lose(outbox: sqlite3.Connection) -> Callable[..., None]:
    """One line: from and to in hours after T0."""

    def lost(name: str, count: int | None, reason: str, what: str = "readings", first: float = 0, last: float = 1) -> None:
        times = {"from_ns": T0 + int(first * HOUR), "to_ns": T0 + int(last * HOUR), "now_ns": T0 + int(last * HOUR)}
        note_loss(outbox, what=what, name=name, count=count, reason=reason, **times)

    return lost


def event(number: int) -> Event:
    data = {"title": f"number {number}", "at": "2027-01-15T08:00:00Z", "set_aside": "x", "problem": "y"}
    return EventBuilder("urn:lineside:acme:dresden:gw-1").of_gateway("outbox_replaced", data, severity=Severity.ERROR, now_ns=T0 + number)


@pytest.mark.usefixtures("outbox")
def test_nothing_was_lost(command: Command) -> None:
    assert command("--since", "2027-01-15").output == "nothing was lost since 2027-01-15T00:00:00Z\n"
    assert command("--since", "all").output == "nothing was lost since the outbox was created\n"
    found = json.loads(command("--since", "2027-01-15", "--json").output)
    assert (found["answer"], found["lost"], found["lines"]) == ("nothing was lost since 2027-01-15T00:00:00Z", {}, [])


def test_the_answer_comes_first_then_where_and_why(command: Command, outbox: sqlite3.Connection, lose: Callable[..., None]) -> None:
    lose("crm", 12, "evicted: max_megabytes", "events")
    lose("press-07", 3000, "offline")
    lose("press-07", 400, "offline", first=2, last=3)
    lose("pump \x9b3", 100, "queue full\nnow")
    fill(outbox, what="readings", name="press-07", from_ns=T0, to_ns=T0 + HOUR, count=900)
    result = command("--since", "2027-01-15")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "lost since 2027-01-15T00:00:00Z: 12 events, 3,500 readings; filled later: 900 readings",
        "what      of        from                  to                    count  filled  why",
        "events    crm       2027-01-15T08:00:00Z  2027-01-15T09:00:00Z     12       0  evicted: max_megabytes",
        "readings  press-07  2027-01-15T08:00:00Z  2027-01-15T11:00:00Z  3,400     900  offline (2 times)",
        "readings  pump  3   2027-01-15T08:00:00Z  2027-01-15T09:00:00Z    100       0  queue full now",
    ]


def test_what_nobody_knows_and_what_goes_on(command: Command, outbox: sqlite3.Connection, lose: Callable[..., None]) -> None:
    lose("gateway", None, "the gateway was not running")
    begin_gap(outbox, what="readings", name="press-07", from_ns=T0, reason="offline", now_ns=T0)
    lines = command("--since", "all").output.splitlines()
    assert lines[0] == ("lost since the outbox was created: readings in 2 gaps of unknown size; filled later: none; 1 not over yet")
    assert [line.split()[3:6] for line in lines[2:]] == [["goes", "on", "?"], ["2027-01-15T09:00:00Z", "?", "0"]]
    lose("press-07", 7, "queue_full")
    assert "7 readings and 2 gaps of unknown size" in command("--since", "all").output
    found = json.loads(command("--since", "all", "--json").output)
    assert found["lost"] == {"readings": {"known": 7, "unknown": 2, "filled": 0, "missing": 7, "ongoing": 1}}
    assert [(line["count"], line["ongoing"], line["to"]) for line in found["lines"]] == [
        (None, False, "2027-01-15T09:00:00Z"),
        (None, True, None),
        (7, False, "2027-01-15T09:00:00Z"),
    ]


def test_what_came_later_after_all_is_not_missing(command: Command, outbox: sqlite3.Connection, lose: Callable[..., None]) -> None:
    lose("press-07", 900, "offline")
    fill(outbox, what="readings", name="press-07", from_ns=T0, to_ns=T0 + HOUR, count=900)
    assert command("--since", "all").output.startswith(
        "nothing is missing since the outbox was created: 900 readings were lost, and all of that came later\n"
    )


def test_one_gap_filled_twice_does_not_hide_another(command: Command, outbox: sqlite3.Connection, lose: Callable[..., None]) -> None:
    lose("press-07", 100, "offline")
    lose("press-08", 100, "offline")
    fill(outbox, what="readings", name="press-07", from_ns=T0, to_ns=T0 + HOUR, count=200)
    assert command("--since", "all").output.startswith("lost since the outbox was created: 200 readings; filled later: 200 readings")


def test_what_is_older_is_not_hidden(command: Command, lose: Callable[..., None], outbox: sqlite3.Connection) -> None:
    lose("press-07", 5, "offline")
    lose("press-07", 6, "offline", first=100, last=101)
    lines = command("--since", "2027-01-16").output.splitlines()
    assert lines[0] == "lost since 2027-01-16T00:00:00Z: 6 readings; filled later: none"
    assert lines[-1] == "before that: 1 line; --since all shows them"
    note_loss(outbox, what="readings", name="x", from_ns=5, to_ns=6, count=1, reason="clock not set", now_ns=T0 + 200 * HOUR)
    assert "7 readings" in command("--since", "2027-01-16").output, "it was written after that day, whatever the clock said before"


def test_what_is_not_lost_but_waits(command: Command, outbox: sqlite3.Connection) -> None:
    append(outbox, [], [Addressed(event(number), ("crm", "plant")) for number in range(3)])
    settle(outbox, "crm", lease(outbox, "crm", Wanted(1), T0), [Outcome.park("no")], T0)
    memory.keep_breaker(outbox, "plant", Memory(3, False, T0, T0, "connection\x1brefused"))
    assert command("--since", "all").output.splitlines() == [
        "nothing was lost since the outbox was created",
        "not lost, but not delivered to crm: 2 waiting, 1 parked",
        "not lost, but not delivered to plant: 3 waiting (it takes nothing since 2027-01-15T08:00:00Z: connection refused)",
        "parked, damaged and expired ones are dead letters: lineside dlq list",
    ]
    assert json.loads(command("--json").output)["not_delivered"]["crm"] == {"ready": 2, "parked": 1, "quarantined": 0, "expired": 0}


@pytest.mark.usefixtures("outbox")
def test_without_since_it_is_a_week(command: Command) -> None:
    started = json.loads(command("--json").output)["since"]
    week = time.strftime("%Y-%m-%dT", time.gmtime(time.time() - 7 * 86400))
    assert started.startswith(week)


@pytest.mark.parametrize("text", ["yesterday", "7", "2027-13-01", "-1h", ""])
def test_a_time_that_is_none(command: Command, text: str) -> None:
    result = command("--since", text)
    assert result.exit_code == 2
    assert f"{text!r} is no time; write for example 12h, 7d, 2026-11-01, 2026-11-01T08:00Z, or all" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1h 30m", T0 - 3 * HOUR // 2),
        ("2027-01-15T08:00Z", T0),
        ("2027-01-15T08:00", T0),
        ("2027-01-15T09:00+01:00", T0),
        ("20270115", T0 - 8 * HOUR),
        ("all", 0),
    ],
)
def test_times_are_utc(text: str, expected: int) -> None:
    assert since_ns(text, T0) == expected


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_where_there_is_none_and_where_it_is_damaged(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = command(*arguments)
    assert (result.exit_code, result.stderr) == (1, f"there is no outbox in {tmp_path}; name the state folder with --state-dir\n")
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 500)
    result = command(*arguments)
    assert result.exit_code == 1
    assert "is damaged: file is not a database; the gateway sets it aside" in result.stderr


def test_a_long_ledger(command: Command, outbox: sqlite3.Connection) -> None:
    """One screen all the same; as JSON every line."""

    def lines() -> list[tuple[Any, ...]]:
        return [(T0, "readings", f"source-{n % 100}", T0 + n, T0 + n + 1, 2, f"reason {n % 3}") for n in range(5_000)]

    with closing(outbox):
        outbox.execute("BEGIN")
        outbox.executemany("INSERT INTO ledger (recorded_ns, what, name, from_ns, to_ns, count, reason) VALUES (?,?,?,?,?,?,?)", lines())
        outbox.execute("COMMIT")
    said = command("--since", "all").output.splitlines()
    assert said[0] == "lost since the outbox was created: 10,000 readings; filled later: none"
    assert (len(said), said[-1]) == (23, "and 280 more; --json shows all")
    assert len(json.loads(command("--since", "all", "--json").output)["lines"]) == 5_000
