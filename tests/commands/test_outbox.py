"""`lineside outbox ...` on none, on a real one and on a damaged one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.contract import SENT, Event, Outcome, Severity
from gateway.events.build import EventBuilder
from gateway.outbox.database import FILE_NAME
from gateway.outbox.operations import Addressed, note_loss
from gateway.outbox.store import Outbox
from gateway.testkit.clock import FakeClock

T0 = 1_800_000_000_000_000_000
Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    def run(*arguments: str, state_dir: Path = tmp_path) -> Result:
        return CliRunner().invoke(main, ["outbox", *arguments, "--state-dir", str(state_dir)])

    return run


def event(number: int) -> Event:
    data = {"title": f"number {number}", "at": "2027-01-15T08:00:00Z", "set_aside": "x", "problem": "y"}
    return EventBuilder("urn:lineside:acme:dresden:gw-1").of_gateway("outbox_replaced", data, severity=Severity.ERROR, now_ns=T0 + number)


@pytest.fixture
def filled(tmp_path: Path) -> list[Event]:
    """Four events for two destinations: crm has taken the first and refused the second for good."""

    async def fill() -> list[Event]:
        outbox = Outbox(tmp_path, FakeClock())
        outbox.open()
        events = [event(number) for number in range(4)]
        await outbox.append([], [Addressed(one, ("crm", "plant")) for one in events])
        leased = await outbox.lease("crm", 0, 2)
        await outbox.settle("crm", leased, [SENT, Outcome.park("400 no \x1b[31msuch\nfield")])
        when = {"from_ns": T0, "to_ns": T0 + 10**9, "now_ns": T0 + 2 * 10**9}
        await outbox.run(lambda connection: note_loss(connection, what="events", name="crm", count=3, reason="over the cap", **when))
        await outbox.close()
        return events

    return asyncio.run(fill())


@pytest.mark.parametrize("arguments", [("list",), ("show", "x"), ("stats",), ("ledger",)])
def test_where_there_is_no_outbox(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = command(*arguments, state_dir=tmp_path / "none")
    assert result.exit_code == 1
    assert result.output == f"there is no outbox in {tmp_path / 'none'}; name the state folder with --state-dir\n"


def test_list_shows_the_oldest_first(command: Command, filled: list[Event]) -> None:
    lines = command("list").output.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["1", "plant", "waiting"],
        ["2", "crm", "parked"],
        ["2", "plant", "waiting"],
        ["3", "crm", "waiting"],
        ["3", "plant", "waiting"],
        ["4", "crm", "waiting"],
        ["4", "plant", "waiting"],
    ]
    assert all(one.id in "\n".join(lines) for one in filled)
    assert len(command("list", "--limit", "2").output.splitlines()) == 2


def test_parked_ones_come_with_the_receivers_reason_and_no_terminal_codes(command: Command, filled: list[Event]) -> None:
    (line,) = command("list", "--parked").output.splitlines()
    assert line.endswith(f"{filled[1].id}  400 no  [31msuch field")


def test_show_prints_the_event_as_it_will_be_sent(command: Command, filled: list[Event]) -> None:
    shown = json.loads(command("show", filled[2].id).output)
    assert (shown["id"], shown["sequence"], shown["data"]["title"]) == (filled[2].id, "00000000000000000003", "number 2")
    result = command("show", "gwy-none")
    assert (result.exit_code, result.output) == (1, "no event 'gwy-none' waits (delivered ones are not kept)\n")


@pytest.mark.usefixtures("filled")
def test_stats_balance(command: Command) -> None:
    result = command("stats")
    assert result.exit_code == 0
    assert result.output == (
        "crm: stored 4  delivered 1  waiting 2  parked 1  damaged 0  expired 0  dropped 0\n"
        "plant: stored 4  delivered 0  waiting 4  parked 0  damaged 0  expired 0  dropped 0\n"
        "balanced: stored = delivered + waiting + parked + damaged + expired + dropped\n"
    )
    counts = json.loads(command("stats", "--json").output)
    assert counts["crm"] == {
        "stored": 4,
        "delivered": 1,
        "ready": 2,
        "parked": 1,
        "quarantined": 0,
        "expired": 0,
        "dropped": 0,
        "balanced": 1,
    }


@pytest.mark.usefixtures("filled")
def test_a_row_that_vanished_is_seen(command: Command, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("DELETE FROM delivery WHERE destination='plant' AND seq=3")
    result = command("stats")
    assert result.exit_code == 1
    assert "NOT balanced" in result.output


@pytest.mark.usefixtures("filled")
def test_the_ledger_says_what_was_lost_when_and_why(command: Command) -> None:
    assert command("ledger").output == (
        "2027-01-15T08:00:02Z  3 events of crm, 2027-01-15T08:00:00Z to 2027-01-15T08:00:01Z: over the cap\n"
    )


def test_an_outbox_nothing_was_put_into(command: Command, tmp_path: Path) -> None:
    async def make() -> None:
        outbox = Outbox(tmp_path, FakeClock())
        outbox.open()
        await outbox.close()

    asyncio.run(make())
    said = [command(*arguments).output for arguments in (("list",), ("list", "--parked"), ("stats",), ("ledger",))]
    assert said == ["nothing waits\n", "nothing is parked\n", "nothing was stored yet\n", "nothing was lost\n"]


@pytest.mark.parametrize("arguments", [("list",), ("show", "x"), ("stats",), ("ledger",)])
def test_a_damaged_file(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 500)
    result = command(*arguments)
    assert result.exit_code == 1
    assert result.output.startswith(f"{tmp_path / FILE_NAME} is damaged: file is not a database; the gateway sets it aside")
    assert (tmp_path / FILE_NAME).read_bytes().startswith(b"this is no database")


def test_a_file_of_something_else(command: Command, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / FILE_NAME).close()
    (tmp_path / FILE_NAME).touch()
    result = command("list")
    assert result.exit_code == 1
    assert "cannot be read: no such table" in result.output


def test_a_damaged_event_is_not_shown_as_good(command: Command, tmp_path: Path, filled: list[Event]) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE event SET data=? WHERE seq=3", (b'{"title":"forged"}',))
    result = command("show", filled[2].id)
    assert (result.exit_code, result.output) == (1, f"event {filled[2].id!r} is damaged on disk (checksum)\n")


def test_looking_while_the_gateway_writes(command: Command, tmp_path: Path) -> None:
    async def look() -> str:
        outbox = Outbox(tmp_path, FakeClock())
        outbox.open()
        await outbox.append([], [Addressed(event(1), ("crm",))])
        output = command("list").output
        await outbox.close()
        return output

    assert event(1).id in asyncio.run(look())


def test_a_folder_with_a_difficult_name(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "a?b #%20"
    folder.mkdir()
    sqlite3.connect(folder / FILE_NAME).close()
    (folder / FILE_NAME).touch()
    assert "no such table" in command("ledger", state_dir=folder).output
