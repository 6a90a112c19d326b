"""`lineside dlq ...`: dead letters decided on beside a running gateway."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.clock import SystemClock, record
from gateway.clock.signs import boot_id, since_boot_ns
from gateway.commands.dlq import Which, retry
from gateway.contract import SENT, Event, Machine, Outcome, Severity, UplinkOptions
from gateway.events.build import EventBuilder
from gateway.outbox import deadletters, ledger, tally
from gateway.outbox.append import Addressed, IncidentRow, append
from gateway.outbox.database import FILE_NAME, open_database
from gateway.outbox.lease import bury, lease, settle
from gateway.outbox.pick import Wanted
from gateway.outbox.sender import Sender
from gateway.outbox.store import Outbox
from gateway.outbox.tally import Kind
from gateway.telemetry.counts import Counts
from gateway.telemetry.status import Status

T0 = 1_800_000_000_000_000_000
Command = Callable[..., Result]
WHEN = "; the gateway sends within seconds, or when it starts\n"


@pytest.fixture
def command(tmp_path: Path) -> Command:
    def run(*arguments: str, state_dir: Path = tmp_path) -> Result:
        return CliRunner().invoke(main, ["dlq", *arguments, "--state-dir", str(state_dir)])

    return run


def event(number: int, severity: Severity = Severity.ERROR) -> Event:
    data = {"title": f"number {number}", "at": "2027-01-15T08:00:00Z", "set_aside": "x", "problem": "y"}
    return EventBuilder("urn:lineside:acme:dresden:gw-1").of_gateway("outbox_replaced", data, severity=severity, now_ns=T0 + number)


@pytest.fixture
def letters(tmp_path: Path) -> list[Event]:
    """Six events for crm and plant. For crm, three are refused, the fourth is damaged, the fifth expired; plant refuses the first."""
    connection, _ = open_database(tmp_path)
    with closing(connection):
        events = [event(number) for number in range(6)]
        append(connection, [], [Addressed(one, ("crm", "plant")) for one in events])
        refused = [Outcome.park(f"no \x1b[31msuch\nfield {n}", code="INVALID_FIELD" if n < 2 else "TOO_LONG") for n in range(3)]
        settle(connection, "crm", lease(connection, "crm", Wanted(3), T0), refused, T0)
        settle(connection, "plant", lease(connection, "plant", Wanted(1), T0), [Outcome.park("404")], T0)
        connection.execute("UPDATE event SET data=x'00' WHERE seq=4")
        bury(connection, "crm", [4], Kind.QUARANTINED, T0, reason="the stored row is damaged (checksum)")
        bury(connection, "crm", [5], Kind.EXPIRED, T0, reason="older than max_age")
    return events


def waiting(folder: Path, destination: str = "crm") -> list[int]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        return [row[0] for row in connection.execute("SELECT seq FROM delivery WHERE destination=? ORDER BY seq", (destination,))]


def dead(folder: Path, destination: str = "crm") -> list[int]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        return [row[0] for row in connection.execute("SELECT seq FROM dead_letter WHERE destination=? ORDER BY seq", (destination,))]


def balanced(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        counted = tally.count_ready(connection)
        return all(counts["ready"] == counted[name] for name, counts in tally.backlog(connection).items())


def content(folder: Path) -> str:
    """All of the file, as statements."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        return "\n".join(connection.iterdump())


ALL = [("list",), ("show", "x"), ("retry", "--all"), ("drop", "--all", "--yes"), ("drop", "--all")]


@pytest.mark.parametrize("arguments", [*ALL, ("export", "out.jsonl")])
def test_where_there_is_no_outbox(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    result = command(*arguments, state_dir=tmp_path / "none")
    assert (result.exit_code, result.stderr) == (1, f"there is no outbox in {tmp_path / 'none'}; name the state folder with --state-dir\n")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / FILE_NAME).mkdir()
    result = command(*arguments)
    assert (result.exit_code, result.stderr) == (1, f"{tmp_path / FILE_NAME} is a folder, no outbox\n")


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize("arguments", ALL)
def test_a_newer_outbox_is_refused_and_not_touched(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version=9")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = (tmp_path / FILE_NAME).read_bytes()
    result = command(*arguments)
    assert result.exit_code == 1
    assert "was written by a newer lineside (schema 9, this one knows 5)" in result.stderr
    assert (tmp_path / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("arguments", ALL)
def test_a_damaged_file_is_told_and_not_touched(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 500)
    result = command(*arguments)
    assert result.exit_code == 1
    assert "is damaged: file is not a database" in result.stderr
    assert (tmp_path / FILE_NAME).read_bytes() == b"this is no database" * 500


def test_list_shows_why(command: Command, letters: list[Event]) -> None:
    lines = command("list").output.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["1", "crm", "parked"],
        ["1", "plant", "parked"],
        ["2", "crm", "parked"],
        ["3", "crm", "parked"],
        ["4", "crm", "quarantined"],
        ["5", "crm", "expired"],
    ]
    assert lines[0].endswith(f"2027-01-15T08:00:00Z   1 tries  {letters[0].type} {letters[0].id}  [INVALID_FIELD]  no  [31msuch field 0")


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--destination", "plant"), [1]),
        (("--kind", "expired"), [5]),
        (("--kind", "quarantined"), [4]),
        (("--code", "TOO_LONG"), [3]),
        (("--code", "INVALID_FIELD", "--destination", "crm", "--kind", "parked"), [1, 2]),
        (("--limit", "1"), [1]),
    ],
)
def test_list_of_some(command: Command, arguments: tuple[str, ...], found: list[int]) -> None:
    rows = [json.loads(line) for line in command("list", "--json", *arguments).output.splitlines()]
    assert [row["seq"] for row in rows] == found
    assert rows[0].keys() == {
        *("seq", "destination", "kind", "at", "attempts", "code", "reason", "replaced_by", "id", "type", "time", "damaged")
    }


@pytest.mark.usefixtures("letters")
def test_list_of_none_and_of_too_many(command: Command, tmp_path: Path) -> None:
    assert command("list", "--code", "NONE").output == "there are no such dead letters\n"
    assert command("list", "--limit", "2").output.splitlines()[2] == "and 4 more; --limit shows more, lineside dlq export all"
    open_database(tmp_path / "fresh")[0].close()
    assert command("list", state_dir=tmp_path / "fresh").output == "there are no dead letters\n"
    assert command("retry", "--all", state_dir=tmp_path / "fresh").output == "nothing was sent again\n"


def test_show_has_the_event_and_why(command: Command, letters: list[Event]) -> None:
    shown = json.loads(command("show", letters[0].id).output)
    assert shown["event"]["id"] == letters[0].id
    assert [(letter["destination"], letter["kind"], letter["code"]) for letter in shown["dead_letters"]] == [
        ("crm", "parked", "INVALID_FIELD"),
        ("plant", "parked", ""),
    ]
    result = command("show", letters[5].id)
    assert (result.exit_code, result.stderr) == (1, f"no dead letter has the id {letters[5].id!r}; lineside dlq list shows them\n")
    result = command("show", letters[3].id)
    assert (result.exit_code, json.loads(result.stdout)["dead_letters"][0]["kind"]) == (1, "quarantined")


@pytest.mark.parametrize(
    "arguments",
    [
        ("retry",),
        ("drop", "--yes"),
        ("retry", "x", "--all"),
        ("retry", "--all", "--code", "X"),
        ("drop", "x", "--code", "X"),
    ],
)
def test_what_is_meant_must_be_said_once(command: Command, arguments: tuple[str, ...]) -> None:
    result = command(*arguments)
    assert result.exit_code == 2
    assert "give IDs, or --all, or --code CODE; lineside dlq list shows them" in result.stderr


def test_retry_of_one(command: Command, tmp_path: Path, letters: list[Event]) -> None:
    result = command("retry", letters[1].id)
    assert (result.exit_code, result.output) == (0, "1 dead letter sent again" + WHEN)
    assert (waiting(tmp_path), dead(tmp_path)) == ([2, 6], [1, 3, 4, 5])
    assert balanced(tmp_path)


def test_retry_of_one_goes_to_every_destination_that_refused_it_or_to_one(command: Command, tmp_path: Path, letters: list[Event]) -> None:
    assert command("retry", letters[0].id, "--destination", "plant").exit_code == 0
    assert (waiting(tmp_path, "plant")[0], dead(tmp_path)[0], dead(tmp_path, "plant")) == (1, 1, [])
    assert command("retry", letters[0].id).exit_code == 0
    assert waiting(tmp_path)[0] == 1


def test_retry_of_a_code(command: Command, tmp_path: Path, letters: list[Event]) -> None:
    assert command("retry", "--code", "INVALID_FIELD").output == "2 dead letters sent again" + WHEN
    assert (waiting(tmp_path), len(letters)) == ([1, 2, 6], 6)


def test_retry_of_all_leaves_the_damaged_one(command: Command, tmp_path: Path, letters: list[Event]) -> None:
    result = command("retry", "--all")
    assert result.stdout == "5 dead letters sent again" + WHEN
    assert result.stderr == f"{letters[3].id} for crm is damaged on disk, so it can only be dropped\n"
    assert (result.exit_code, waiting(tmp_path), dead(tmp_path)) == (0, [1, 2, 3, 5, 6], [4])
    assert balanced(tmp_path)


def test_retry_for_a_destination_that_is_not_configured_any_more_promises_nothing(
    command: Command, tmp_path: Path, letters: list[Event]
) -> None:
    """It waits, because only what waits can be moved to another destination."""
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        tally.note_configured(connection, ["plant"])
    result = command("retry", letters[0].id)
    assert result.stdout == "1 dead letter sent again" + WHEN + "1 dead letter put back among what waits for crm\n"
    remedy = "nobody sends to crm: it is not in the configuration; lineside outbox move crm NEW hands them over\n"
    assert result.stderr == remedy
    result = command("retry", letters[1].id, "--set", "data.title=right")
    assert (result.exit_code, result.stdout.splitlines()[1:]) == (0, ["1 dead letter put back among what waits for crm"])
    assert result.stderr == remedy
    assert waiting(tmp_path)[0] == 1
    moved = CliRunner().invoke(main, ["outbox", "move", "crm", "plant", "--state-dir", str(tmp_path)])
    assert (moved.exit_code, waiting(tmp_path)) == (0, [])
    assert balanced(tmp_path)


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        pytest.param([Outcome.park("no"), SENT], True, id="the end was taken"),
        pytest.param([Outcome.park("no"), Outcome.park("no")], False, id="the end is a dead letter, too"),
        pytest.param([Outcome.park("no")], False, id="the end still waits"),
    ],
)
def test_retry_of_an_event_whose_incident_went_on(command: Command, tmp_path: Path, outcomes: list[Outcome], told: bool) -> None:
    identity, builder = "inc-a", EventBuilder("urn:lineside:acme:dresden:gw-1")
    connection, _ = open_database(tmp_path)
    with closing(connection):
        body = json.dumps({"id": identity, "events": 2}).encode()
        row = IncidentRow(identity, "press", "hot", "closed", T0, T0, T0, body)
        data = {"title": "t", "at": "2027-01-15T08:00:00Z", "set_aside": "x", "problem": "y"}
        plain = builder.of_gateway("outbox_replaced", data, severity=Severity.ERROR, now_ns=T0)
        both = [msgspec.structs.replace(plain, id=f"{identity}-{number:04d}") for number in (1, 2)]
        append(connection, [row], [Addressed(one, ("crm",)) for one in both])
        settle(connection, "crm", lease(connection, "crm", Wanted(len(outcomes)), T0), outcomes, T0)
    result = command("retry", both[0].id)
    assert (result.exit_code, "went on" in result.stderr, f"{identity}-0001" in result.stderr) == (0, told, told)
    assert waiting(tmp_path)[0] == 1


def test_retry_of_a_damaged_one_alone_is_no_success(command: Command, letters: list[Event]) -> None:
    result = command("retry", letters[3].id)
    assert (result.exit_code, result.stdout) == (1, "nothing was sent again\n")


def test_one_unknown_id_among_many_changes_nothing(command: Command, tmp_path: Path, letters: list[Event]) -> None:
    before = content(tmp_path)
    for verb in (("retry",), ("drop",)):
        result = command(*verb, letters[0].id, "gwy-none")
        assert (result.exit_code, result.stderr) == (1, "no dead letter has the id 'gwy-none'; lineside dlq list shows them\n")
    result = command("retry", "gwy-")
    assert result.exit_code == 1
    assert "'gwy-' is the beginning of more than one id" in result.stderr
    assert content(tmp_path) == before


def test_retry_with_a_correction(command: Command, tmp_path: Path, letters: list[Event]) -> None:
    result = command("retry", letters[1].id, "--set", "data.title=better = good", "--set", "data.problem=1e999")
    identity = result.stdout.splitlines()[0]
    assert (result.exit_code, result.stdout) == (0, f"{identity}\n1 dead letter corrected{WHEN}")
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as connection:
        sent = lease(connection, "crm", Wanted(9), T0)[-1]
    assert (sent.id, sent.causationid, sent.sequence) == (identity, letters[1].id, 7)
    assert json.loads(sent.data) == json.loads(letters[1].data) | {"title": "better = good", "problem": "1e999"}
    shown = json.loads(command("show", letters[1].id).output)
    assert shown["dead_letters"][0]["replaced_by"] == identity
    assert (waiting(tmp_path), dead(tmp_path)) == ([6, 7], [1, 2, 3, 4, 5])
    assert balanced(tmp_path)


def test_a_correction_is_as_old_as_the_gateways_clock_has_it(command: Command, tmp_path: Path, letters: list[Event]) -> None:
    """The system's may be hours behind it while no time server has answered: the event was older than `max_age` when it was made."""
    now_ns = time.time_ns() + 86_400 * 10**9
    kept = record.Record(boot=boot_id(), offset_ns=now_ns - since_boot_ns(), state="not_yet", seen_ns=now_ns)
    record.save(tmp_path, msgspec.json.encode(kept))
    assert command("retry", letters[1].id, "--set", "data.title=good").exit_code == 0
    assert command("drop", letters[2].id, "--yes").exit_code == 0
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as connection:
        *_, sent = lease(connection, "crm", Wanted(9, max_age_ns=3600 * 10**9), now_ns) or []
        told = [at_ns for (at_ns,) in connection.execute("SELECT at_ns FROM audit")]
    assert json.loads(sent.data)["title"] == "good"
    assert len(told) == 2
    assert min(told) >= now_ns


def incident() -> Event:
    at, id_, machine = "2027-01-15T08:00:00Z", "inc-" + "a" * 16, Machine(name="press-07")
    data = {
        "incident": id_,
        "state": "raised",
        "machine": machine.name,
        "condition": "oil_high",
        "title": "oil",
        "severity": "error",
        "score": 1.0,
    }
    data |= {"detector": "limit-1", "since": at, "raised": at, "occurrences": 1, "tags": ["oil"], "explanation": {}, "asset": "gone"}
    return EventBuilder("urn:lineside:acme:dresden:gw-1").of_incident(
        incident=id_, number=1, domain="limit", machine=machine, severity=Severity.ERROR, time_ns=T0, now_ns=T0, data=data
    )


def test_retry_without_a_property(command: Command, tmp_path: Path) -> None:
    refused = incident()
    connection, _ = open_database(tmp_path)
    with closing(connection):
        append(connection, [], [Addressed(refused, ("crm",))])
        settle(connection, "crm", lease(connection, "crm", Wanted(1), T0), [Outcome.park("no such asset")], T0)
    result = command("retry", refused.id, "--set", "data.title=oil is hot", "--unset", "data.asset")
    assert result.exit_code == 0, result.stderr
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as connection:
        (sent,) = lease(connection, "crm", Wanted(9), T0)
    assert sent.causationid == refused.id
    wanted = json.loads(refused.data) | {"title": "oil is hot"}
    del wanted["asset"]
    assert json.loads(sent.data) == wanted


@pytest.mark.parametrize(
    ("path", "words"), [("data.problem", "problem"), ("data.nothing", "/nothing: there is no such property in the data")]
)
def test_what_the_contract_wants_or_what_is_not_there_cannot_be_taken_away(
    command: Command, tmp_path: Path, letters: list[Event], path: str, words: str
) -> None:
    before = content(tmp_path)
    result = command("retry", letters[1].id, "--unset", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("nothing was changed: ")
    assert words in result.stderr
    assert content(tmp_path) == before


@pytest.mark.parametrize("path", ["pointer", "data", "data.a=1", "data..a", ""])
def test_a_removal_that_names_nothing(command: Command, path: str) -> None:
    result = command("retry", "--all", "--unset", path)
    assert result.exit_code == 2
    assert "write data.NAME, for example data.unit" in " ".join(result.stderr.split())


def test_a_correction_is_made_once(command: Command, tmp_path: Path, letters: list[Event]) -> None:
    identity = command("retry", letters[1].id, "--set", "data.title=better").stdout.splitlines()[0]
    for again in (("--set", "data.title=better"), ("--set", "data.title=worse"), ()):
        result = command("retry", letters[1].id, *again)
        assert result.exit_code == 1
        assert result.stderr == f"{letters[1].id} for crm was replaced by {identity} already\n"
    assert waiting(tmp_path) == [6, 7]
    assert command("list", "--code", "INVALID_FIELD").output.splitlines()[1].endswith(f"(replaced by {identity})")


@pytest.mark.parametrize(
    ("setting", "pointer"),
    [
        ("data.title=5", "/title: "),
        ("data.titel=x", "titel"),
        ("data.title.first=x", "/title/first: there is no such place in the data"),
        ("data.nowhere.first=x", "/nowhere: there is no such place in the data"),
        ("data.title=" + "x" * 1000, "/title: "),
        ("data.title=\udcff", "cannot be corrected so"),
        ("data.title=" + "9" * 500, "nothing was changed"),
    ],
)
def test_a_correction_that_breaks_the_contract_changes_nothing(
    command: Command, tmp_path: Path, letters: list[Event], setting: str, pointer: str
) -> None:
    before = content(tmp_path)
    result = command("retry", "--code", "INVALID_FIELD", "--set", "data.problem=fine", "--set", setting)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"nothing was changed: {letters[0].id} ")
    assert pointer in result.stderr
    assert content(tmp_path) == before


@pytest.mark.parametrize("setting", ["title=x", "data=x", "data.title", "data.=x", "data..a=x", "=x", ""])
def test_a_correction_that_sets_nothing(command: Command, setting: str) -> None:
    result = command("retry", "--all", "--set", setting)
    assert result.exit_code == 2
    assert "sets nothing; write data.NAME=VALUE, for example data.unit=bar" in " ".join(result.stderr.split())


def test_one_event_that_two_refused_is_corrected_for_both(command: Command, tmp_path: Path, letters: list[Event]) -> None:
    """Or for none, and says so: never for one of them in silence."""
    before = content(tmp_path)
    result = command("retry", letters[0].id, "--set", "data.title=better")
    if result.exit_code == 0:
        assert (waiting(tmp_path), waiting(tmp_path, "plant")) == ([6, 7], [2, 3, 4, 5, 6, 7])
        assert balanced(tmp_path)
    else:
        assert "the same correction" in result.stderr
        assert content(tmp_path) == before
    assert command("retry", letters[0].id, "--set", "data.title=better", "--destination", "plant").exit_code in (0, 1)


def test_who_sent_again_and_dropped_is_written_down(
    command: Command, tmp_path: Path, letters: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "anna")
    command("retry", letters[1].id)
    command("drop", letters[2].id)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        rows = connection.execute("SELECT who, what, name FROM audit ORDER BY number").fetchall()
    assert rows == [
        ("anna (command)", "dead letter sent again", letters[1].id),
        ("anna (command)", "dead letter dropped", letters[2].id),
    ]


def test_drop_of_all_wants_a_yes(command: Command, tmp_path: Path, letters: list[Event]) -> None:
    result = command("drop", "--all")
    assert (result.exit_code, result.stderr) == (1, "6 dead letters would be given up for good; if you want that, say --yes\n")
    assert (dead(tmp_path), len(letters)) == ([1, 2, 3, 4, 5], 6)
    assert command("drop", "--all", "--yes", "--kind", "parked").output == "4 dead letters dropped; lineside ledger shows them\n"
    assert (dead(tmp_path), dead(tmp_path, "plant")) == ([4, 5], [])
    assert balanced(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert sorted((line.name, line.count) for line in ledger.lines(connection)) == [("crm", 3), ("plant", 1)]


def test_export_writes_why_and_the_event(command: Command, tmp_path: Path, letters: list[Event]) -> None:
    out = tmp_path / "out.jsonl"
    assert command("export", str(out)).output == f"5 dead letters written to {out}; 1 damaged one left out\n"
    lines = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert [(line["destination"], line["kind"], line["event"]["id"]) for line in lines] == [
        *(("crm", "parked", one.id) for one in letters[:3]),
        ("crm", "expired", letters[4].id),
        ("plant", "parked", letters[0].id),
    ]


def test_a_file_somebody_else_writes_into(command: Command, tmp_path: Path, letters: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.commands.database.BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert command("list").exit_code == 0
        result = command("retry", letters[0].id)
        assert (result.exit_code, result.stderr) == (
            1,
            f"{tmp_path / FILE_NAME} is busy: somebody else has been writing for 0.1 s; try again\n",
        )
    assert dead(tmp_path)[0] == 1


class Receiver:
    """Refuses what it does not like."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.dislikes = True
        self.called, self.taken = asyncio.Event(), asyncio.Event()

    async def connect(self) -> None:
        return

    async def send(self, events: Sequence[Event]) -> list[Outcome]:
        self.called.set()
        if self.dislikes:
            return [Outcome.park("400 title", code="TITLE") for _ in events]
        self.got += [json.loads(one.data)["title"] for one in events]
        self.taken.set()
        return [SENT for _ in events]

    async def close(self) -> None:
        return


def no_summary(group: object) -> Event:
    raise AssertionError(group)


async def test_a_running_gateway_sends_what_the_command_puts_back(command: Command, tmp_path: Path) -> None:
    clock, receiver = SystemClock(), Receiver()
    outbox, status = Outbox(tmp_path, clock), Status(clock)
    outbox.open()
    with ThreadPoolExecutor(1) as loading:
        options = {"link": status.add("destination", "crm"), "status": status, "counts": Counts(), "clock": clock}
        sender = Sender(
            "crm",
            lambda: receiver,
            outbox,
            options=UplinkOptions(),
            summarise=no_summary,
            loading=loading,
            **options,  # type: ignore[arg-type]
        )
        running = asyncio.create_task(sender.run())
        await outbox.append([], [Addressed(event(1), ("crm",))])
        async with asyncio.timeout(20):
            await receiver.called.wait()
            while "TITLE" not in (await asyncio.to_thread(command, "list")).output:
                pass
            receiver.dislikes = False
            result = await asyncio.to_thread(command, "retry", event(1).id)
            await receiver.taken.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    await outbox.close()
    assert (result.exit_code, receiver.got) == (0, ["number 1"])
    assert balanced(tmp_path)


def test_thousands_of_them(command: Command, tmp_path: Path) -> None:
    connection, _ = open_database(tmp_path)
    with closing(connection):
        connection.execute("BEGIN")
        append(connection, [], [Addressed(event(number), ("crm",)) for number in range(3_000)])
        bury(connection, "crm", range(1, 3_001), Kind.PARKED, T0, reason="x" * 400, code="SAME")
        connection.execute("COMMIT")
    assert len(command("list").output.splitlines()) == 21
    assert command("export", str(tmp_path / "out")).output.startswith("3,000 dead letters written")
    assert command("retry", "--code", "SAME").output == "3,000 dead letters sent again" + WHEN
    assert len(waiting(tmp_path)) == 3_000
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        bury(connection, "crm", range(1, 3_001), Kind.PARKED, T0, reason="x" * 400, code="SAME")
    assert command("drop", "--all", "--yes").output.startswith("3,000 dead letters dropped")
    assert balanced(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert [line.count for line in ledger.lines(connection)] == [3_000]
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (0,)
        told = connection.execute("SELECT what, name, before FROM audit ORDER BY number").fetchall()
    # As many lines as letters would push out all that the audit had before.
    assert [line[0] for line in told] == ["dead letters sent again"] * 6 + ["dead letters dropped"] * 6
    assert told[0][1:] == (f"500 of crm: {event(0).id} to {event(499).id}", "x" * 400)


@pytest.mark.parametrize("words", [("retry", "--all"), ("drop", "--all", "--yes")])
def test_a_disk_that_is_full_half_way_is_said_with_what_is_done(
    command: Command, tmp_path: Path, letters: list[Event], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    real, calls = getattr(deadletters, words[0]), list[int]()

    def full(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise sqlite3.OperationalError("database or disk is full")
        return real(*given, **named)

    monkeypatch.setattr("gateway.commands.dlq._CHUNK", 2)
    monkeypatch.setattr(deadletters, words[0], full)
    result = command(*words)
    assert result.exit_code == 1
    assert result.stderr.startswith("2 of 5 events are done, and the same command goes on there: ")
    assert "disk is full" in result.stderr
    assert len(letters) == 6
    assert balanced(tmp_path)


@pytest.mark.parametrize("words", [("retry", "--all"), ("drop", "--all", "--yes")])
def test_a_running_gateway_gets_its_turn_between_two_steps(
    command: Command, tmp_path: Path, letters: list[Event], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Fifty thousand at once held it up for seconds, and it took the disk for locked."""
    left: list[int] = []

    def writes(_began: float) -> None:
        with closing(sqlite3.connect(tmp_path / FILE_NAME, timeout=0)) as gateway, gateway:
            gateway.execute("BEGIN IMMEDIATE")
            left.append(gateway.execute("SELECT count(*) FROM dead_letter").fetchone()[0])

    monkeypatch.setattr("gateway.commands.dlq._CHUNK", 2)
    monkeypatch.setattr("gateway.commands.dlq.stand_back", writes)
    assert command(*words).exit_code == 0
    assert len(left) >= 3
    assert left == sorted(left, reverse=True)
    assert len(letters) == 6
    assert balanced(tmp_path)


def test_two_commands_at_once(tmp_path: Path, letters: list[Event]) -> None:
    """Each letter is sent again once, whoever comes first."""
    with ThreadPoolExecutor(2) as both:
        codes = list(both.map(lambda _: retry(tmp_path, Which(kind=Kind.PARKED), {}), range(2)))
    assert (codes, len(letters), waiting(tmp_path)) == ([0, 0], 6, [1, 2, 3, 6])
    assert balanced(tmp_path)
