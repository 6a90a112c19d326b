"""`lineside outbox ...` on none, on a real one beside its writer, on damaged ones, on a large one."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.contract import SENT, Event, Outcome, Severity
from gateway.events.build import EventBuilder
from gateway.events.codec import structured
from gateway.outbox import memory
from gateway.outbox.append import Addressed, append
from gateway.outbox.database import FILE_NAME, open_database, suspect
from gateway.outbox.memory import SetAside
from gateway.outbox.pick import Wanted
from gateway.outbox.store import Outbox
from gateway.testkit.clock import FakeClock

T0 = 1_800_000_000_000_000_000
Command = Callable[..., Result]
LOOKS = [("list",), ("show", "x"), ("stats",), ("check",)]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    def run(*arguments: str, state_dir: Path = tmp_path) -> Result:
        return CliRunner().invoke(main, ["outbox", *arguments, "--state-dir", str(state_dir)])

    return run


def event(number: int, severity: Severity = Severity.ERROR) -> Event:
    data = {"title": f"number {number}", "at": "2027-01-15T08:00:00Z", "set_aside": "x", "problem": "y"}
    return EventBuilder("urn:lineside:acme:dresden:gw-1").of_gateway("outbox_replaced", data, severity=severity, now_ns=T0 + number)


@pytest.fixture
def filled(tmp_path: Path) -> list[Event]:
    """Five events for two destinations: crm has taken the first, refused the second for good and was too busy for the third.

    The last one is critical, and plant has set the machine aside.
    """

    async def fill() -> list[Event]:
        outbox = Outbox(tmp_path, FakeClock())
        outbox.open()
        events = [*(event(number) for number in range(4)), event(4, Severity.CRITICAL)]
        await outbox.append([], [Addressed(one, ("crm", "plant")) for one in events[:4]])
        leased = await outbox.lease("crm", Wanted(3))
        refused = Outcome.park("400 no \x1b[31msuch\nfield", code="INVALID_FIELD")
        await outbox.settle("crm", leased, [SENT, refused, Outcome.retry("503 \x9b31mbusy", unknown=True)])
        await outbox.run(lambda connection: memory.set_aside(connection, "plant", SetAside("gateway", T0, "refused")))
        await outbox.append([], [Addressed(events[4], ("crm", "plant"))])
        assert await outbox.lease("plant", Wanted(10)) == []
        await outbox.close()
        return events

    return asyncio.run(fill())


def large(folder: Path, count: int) -> None:
    """So many wait for crm."""
    connection, _ = open_database(folder)
    with closing(connection):
        for start in range(0, count, 5000):
            append(connection, [], [Addressed(event(number), ("crm",)) for number in range(start, min(count, start + 5000))])


def change(folder: Path, statement: str, *parameters: object) -> None:
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        connection.execute(statement, parameters)


def overwrite(folder: Path, table: str) -> None:
    """The last page of a table's tree, as a worn card does it."""
    path = folder / FILE_NAME
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name=?", (table,)).fetchone()[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        page = file.read(size)
        assert page[0] == 5, "the table has more than one page"
        file.seek((int.from_bytes(page[8:12], "big") - 1) * size)  # its right-most child
        file.write(b"\xff" * size)


@pytest.mark.parametrize("arguments", [*LOOKS, ("export", "out.jsonl")])
def test_where_there_is_no_outbox(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    result = command(*arguments, state_dir=tmp_path / "none")
    assert result.exit_code == 1
    assert (result.stdout, result.stderr) == ("", f"there is no outbox in {tmp_path / 'none'}; name the state folder with --state-dir\n")
    assert list(tmp_path.iterdir()) == []


def test_list_shows_what_is_sent_first_at_the_top(command: Command, filled: list[Event]) -> None:
    lines = command("list").output.splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["5", "crm", "urgent", "0"],
        ["3", "crm", "ordered", "1"],
        ["4", "crm", "ordered", "0"],
        *(["1", "plant", "aside", "0"], ["2", "plant", "aside", "0"], ["3", "plant", "aside", "0"]),
        *(["4", "plant", "aside", "0"], ["5", "plant", "aside", "0"]),
    ]
    assert all(one.id in "\n".join(lines) for one in filled)


def test_a_receivers_words_cannot_steer_the_terminal(command: Command, filled: list[Event]) -> None:
    (line,) = [line for line in command("list").output.splitlines() if "busy" in line]
    assert line.endswith(f"{filled[2].id}  503  31mbusy")
    assert "\x9b" not in command("list", "--json").output
    shown = command("show", filled[2].id).output
    assert "\x9b" not in shown
    assert json.loads(shown)["waits"][0]["reason"] == "503 \x9b31mbusy"


@pytest.mark.usefixtures("filled")
def test_list_of_one_destination_and_lane(command: Command) -> None:
    assert [line.split()[0] for line in command("list", "--destination", "crm", "--lane", "ordered").output.splitlines()] == ["3", "4"]
    assert command("list", "--destination", "plant", "--lane", "urgent").output == "nothing waits\n"
    rows = [json.loads(line) for line in command("list", "--lane", "ordered", "--json").output.splitlines()]
    assert [(row["seq"], row["lane"], row["attempts"], row["tried"]) for row in rows] == [(3, "ordered", 1, True), (4, "ordered", 0, False)]
    assert rows[0]["recorded"] == "2027-01-15T08:00:00Z"


@pytest.mark.usefixtures("filled")
def test_a_destination_that_is_not_known_is_told_with_those_that_are(command: Command) -> None:
    for arguments in (("list", "--destination", "cmr"), ("export", "out.jsonl", "--destination", "cmr")):
        result = command(*arguments)
        assert (result.exit_code, result.stderr) == (1, "this outbox has no destination 'cmr'; it knows crm, plant\n")
    assert not Path("out.jsonl").exists()


@pytest.mark.usefixtures("filled")
def test_a_long_list_is_cut_and_says_so(command: Command) -> None:
    lines = command("list", "--limit", "2").output.splitlines()
    assert (len(lines), lines[2]) == (3, "and 6 more; --limit shows more, lineside outbox export all")


def test_show_prints_the_event_as_it_will_be_sent_and_where_it_waits(command: Command, filled: list[Event]) -> None:
    shown = json.loads(command("show", filled[1].id).output)
    assert (shown["event"]["id"], shown["event"]["sequence"], shown["event"]["data"]["title"]) == (
        filled[1].id,
        "00000000000000000002",
        "number 1",
    )
    assert shown["waits"] == [{"destination": "plant", "lane": "aside", "attempts": 0, "tried": False, "reason": ""}]
    assert [(letter["destination"], letter["kind"], letter["code"]) for letter in shown["dead_letters"]] == [
        ("crm", "parked", "INVALID_FIELD")
    ]


def test_show_takes_the_beginning_of_an_id_if_only_one_begins_so(command: Command, filled: list[Event]) -> None:
    whole = filled[3].id
    start = next(whole[:n] for n in range(5, len(whole)) if not any(e.id.startswith(whole[:n]) for e in filled if e.id != whole))
    assert json.loads(command("show", start).output)["event"]["id"] == whole
    result = command("show", "gwy-")
    assert result.exit_code == 1
    assert result.stderr.startswith("'gwy-' is the beginning of more than one id (gwy-")
    assert result.stderr.endswith(", ...); write more of it\n")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("identity", ["gwy-none", "", "%", "gwy-'; DROP TABLE event; --"])
def test_show_of_an_event_that_is_not_there(command: Command, identity: str) -> None:
    result = command("show", identity)
    assert result.exit_code == 1
    assert result.stderr == f"no event {identity!r} waits (delivered ones are not kept); see lineside outbox list\n"


@pytest.mark.usefixtures("filled")
def test_stats_balance(command: Command) -> None:
    result = command("stats")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[:3] == [
        "crm: stored 5  delivered 1  waiting 3  parked 1",
        "plant: stored 5  delivered 0  waiting 5  parked 0",
        "balanced: stored = delivered + waiting + parked + damaged on disk + expired + aged + evicted + discarded + summarised + moved "
        "+ lost in a damaged file",
    ]
    assert lines[3].startswith("5 events; ")
    found = json.loads(command("stats", "--json").output)
    assert (found["balanced"], found["events"], found["bytes_per_event"]) == (True, 5, None)
    assert found["bytes"] > found["wal_bytes"] >= 0
    assert found["destinations"]["crm"] == {
        **dict.fromkeys(("quarantined", "expired", "aged", "evicted", "discarded", "summarised", "moved", "damaged"), 0),
        "stored": 5,
        "delivered": 1,
        "ready": 3,
        "parked": 1,
        "balanced": True,
        "lanes": {"urgent": 1, "ordered": 2, "aside": 0},
    }


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM delivery WHERE destination='plant' AND seq=3",
        "DELETE FROM dead_letter",
        "UPDATE tally SET count=count+1 WHERE destination='crm' AND what='delivered'",
        "INSERT INTO delivery (destination, lane, seq, severity) VALUES ('unheard of', 1, 3, 9)",
    ],
)
def test_a_sum_that_does_not_balance_is_seen(command: Command, tmp_path: Path, statement: str) -> None:
    change(tmp_path, statement)
    result = command("stats")
    assert result.exit_code == 1
    assert "NOT balanced: stored = " in result.output
    assert json.loads(command("stats", "--json").output)["balanced"] is False
    result = command("check")
    assert result.exit_code == 1
    assert "NOT balanced" in result.output


def test_an_outbox_nothing_was_put_into(command: Command, tmp_path: Path) -> None:
    open_database(tmp_path)[0].close()
    assert command("list").output == "nothing waits\n"
    assert command("stats").output.startswith("nothing was stored yet\n0 events; ")
    assert command("check").output.splitlines()[-1] == "sound; a start uses the file as it is"
    assert command("export", str(tmp_path / "out")).output == f"0 events written to {tmp_path / 'out'}\n"


def test_check_of_a_sound_one(command: Command, filled: list[Event]) -> None:
    result = command("check")
    assert result.exit_code == 0
    assert result.output == (
        f"structure: sound\nevents: {len(filled)}, 0 wrong checksums\nincidents: 0, 0 wrong checksums\ncounts: balanced\n"
        "sound; a start uses the file as it is\n"
    )


def test_check_finds_a_flipped_bit_that_sqlite_does_not(command: Command, tmp_path: Path, filled: list[Event]) -> None:
    change(tmp_path, "UPDATE event SET data=? WHERE seq=3", b'{"title":"forged"}')
    change(tmp_path, "INSERT INTO incident VALUES ('inc-1','m','c','open',1,2,3,x'7b7d',4)")
    result = command("check")
    assert result.exit_code == 1
    said = result.output.splitlines()
    assert f"event {filled[2].id} (sequence 3): its checksum is wrong; it becomes a dead letter when its turn comes" in said
    assert "incident inc-1 (open): its checksum is wrong; a start sets it aside and says so if it is not closed" in said
    assert said[-1] == "damaged, but a start uses the file as it is"


@pytest.mark.usefixtures("filled")
def test_check_finds_rows_that_belong_to_nothing(command: Command, tmp_path: Path) -> None:
    change(tmp_path, "DELETE FROM event WHERE seq IN (2, 3)")
    change(tmp_path, "DELETE FROM delivery WHERE seq=4")
    said = command("check").output
    assert "strays: 3 times a delivery waits for an event that is missing: it cannot be sent\n" in said
    assert "strays: 1 times a dead letter waits for an event that is missing: it cannot be sent\n" in said
    assert "strays: 1 event nobody waits for: of no use but to take up room\n" in said
    assert command("list").output.count("its event is missing") == 3


def test_check_says_when_a_start_would_begin_anew(command: Command, tmp_path: Path) -> None:
    large(tmp_path, 500)
    overwrite(tmp_path, "event")
    before = (tmp_path / FILE_NAME).read_bytes()
    result = command("check")
    assert result.exit_code == 1
    assert "structure: " in result.output
    assert "events: the rest cannot be read" in result.output
    assert "a start sets the file aside as outbox.db.damaged-TIME" in result.output.splitlines()[-1]
    assert (tmp_path / FILE_NAME).read_bytes() == before
    open_database(tmp_path)[0].close()
    assert list(tmp_path.glob("outbox.db.damaged-*")), "what the command said is what a start does"


@pytest.mark.usefixtures("filled")
def test_check_knows_of_a_suspicion_of_the_running_gateway(command: Command, tmp_path: Path) -> None:
    suspect(tmp_path, "disk I/O error")
    result = command("check")
    assert result.exit_code == 1
    assert "damaged: disk I/O error\na start sets the file aside" in result.output


def test_check_knows_of_a_start_that_was_killed(command: Command, tmp_path: Path, filled: list[Event]) -> None:
    (tmp_path / FILE_NAME).rename(tmp_path / f"{FILE_NAME}.salvaged")
    result = command("check")
    assert (result.exit_code, len(filled)) == (1, 5)
    assert result.stderr.endswith("is missing, but outbox.db.salvaged beside it is complete: a start goes on with that\n")


def test_export_writes_every_event_and_where_it_waits(command: Command, tmp_path: Path, filled: list[Event]) -> None:
    out = tmp_path / "out.jsonl"
    assert command("export", str(out)).output == f"8 events written to {out}\n"
    assert out.stat().st_mode & 0o777 == 0o600  # what the state folder keeps from others
    lines = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert [(line["destination"], line["lane"], line["event"]["id"]) for line in lines] == [
        ("crm", "urgent", filled[4].id),
        *(("crm", "ordered", one.id) for one in filled[2:4]),
        *(("plant", "aside", one.id) for one in filled),
    ]
    assert lines[1].keys() == {"destination", "lane", "attempts", "reason", "event"}
    assert (lines[1]["attempts"], lines[1]["reason"]) == (1, "503 \x9b31mbusy")
    unsent = {key: value for key, value in lines[1]["event"].items() if key != "sequence"}
    assert unsent == {key: value for key, value in json.loads(structured(filled[2])).items() if key != "sequence"}


@pytest.mark.usefixtures("filled")
def test_export_overwrites_nothing_and_leaves_nothing_half_written(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    beside = tmp_path / "other.jsonl.part"
    for path in (out, beside):
        path.write_text("mine")
    assert command("export", str(tmp_path / "other.jsonl")).exit_code == 0
    assert beside.read_text() == "mine"
    beside.unlink()
    result = command("export", str(out))
    assert (result.exit_code, result.stderr) == (1, f"{out} is there already; give another name\n")
    assert out.read_text() == "mine"
    result = command("export", str(tmp_path / "no folder" / "out"))
    assert (result.exit_code, result.stderr) == (1, f"{tmp_path / 'no folder' / 'out'} cannot be written: No such file or directory\n")
    assert not list(tmp_path.glob("*.part"))


def test_export_leaves_out_a_damaged_row_and_counts_it(command: Command, tmp_path: Path, filled: list[Event]) -> None:
    change(tmp_path, "UPDATE event SET subject=subject||'x' WHERE seq=3")
    out = tmp_path / "out.jsonl"
    assert command("export", str(out)).output == f"6 events written to {out}; 2 damaged ones left out\n"
    assert filled[2].id not in out.read_text()


def test_export_of_a_damaged_file_takes_what_can_be_read(command: Command, tmp_path: Path) -> None:
    large(tmp_path, 2000)
    overwrite(tmp_path, "event")
    aside = tmp_path / f"{FILE_NAME}.damaged-20270115T080000000000"
    (tmp_path / FILE_NAME).rename(aside)
    out = tmp_path / "out.jsonl"
    result = command("export", str(out), "--from", str(aside))
    assert result.exit_code == 0
    written = len(out.read_bytes().splitlines())
    assert 1500 < written < 2000
    assert result.stdout == f"{written:,} events written to {out}; {2000 - written} could not be read\n"
    assert f"{aside} is damaged: " in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.name not in (out.name, aside.name)) in (
        [],
        [f"{aside.name}-shm", f"{aside.name}-wal"],
    )


def test_export_of_what_is_no_database(command: Command, tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"this is no database" * 500)
    result = command("export", str(tmp_path / "out"), "--from", str(tmp_path / "junk"))
    assert (result.exit_code, result.stderr) == (1, f"{tmp_path / 'junk'} is no database: nothing of it can be read\n")
    assert not (tmp_path / "out").exists()
    result = command("export", str(tmp_path / "out2"), "--from", str(tmp_path / "none"))
    assert (result.exit_code, result.stderr) == (1, f"there is no file {tmp_path / 'none'}\n")


@pytest.mark.parametrize("arguments", LOOKS)
def test_a_damaged_file(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 500)
    result = command(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{tmp_path / FILE_NAME} is damaged: file is not a database; the gateway sets it aside")
    assert (tmp_path / FILE_NAME).read_bytes() == b"this is no database" * 500


@pytest.mark.parametrize("arguments", LOOKS)
def test_an_empty_file(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / FILE_NAME).touch()
    result = command(*arguments)
    assert result.exit_code == 1
    assert result.stderr == f"{tmp_path / FILE_NAME} is empty; the gateway makes an outbox of it when it starts\n"
    assert not (tmp_path / FILE_NAME).read_bytes()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("arguments", LOOKS)
@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        (9, "was written by a newer lineside (schema 9, this one knows 5); use that one, this one refuses to start with it"),
        (1, "if an older lineside wrote it, start the gateway once: it brings the file up to date"),
    ],
)
def test_a_file_of_another_version(command: Command, tmp_path: Path, arguments: tuple[str, ...], version: int, remedy: str) -> None:
    change(tmp_path, f"PRAGMA user_version={version}")
    result = command(*arguments)
    assert result.exit_code == 1
    assert result.stderr.endswith(f"{remedy}\n")


def test_a_damaged_event_is_not_shown_as_good(command: Command, tmp_path: Path, filled: list[Event]) -> None:
    change(tmp_path, "UPDATE event SET data=? WHERE seq=3", b'{"title":"forged"}')
    result = command("show", filled[2].id)
    assert (result.exit_code, result.stderr) == (1, "the event is damaged on disk (checksum): it cannot be sent\n")
    assert json.loads(result.stdout)["event"] is None
    assert [place["destination"] for place in json.loads(result.stdout)["waits"]] == ["crm", "plant"]


def test_text_that_is_no_utf_8_any_more(command: Command, tmp_path: Path, filled: list[Event]) -> None:
    change(tmp_path, "UPDATE delivery SET reason=CAST(x'ff41' AS TEXT) WHERE seq=3")
    change(tmp_path, "UPDATE event SET subject=CAST(x'ff42' AS TEXT) WHERE seq=4")
    assert [command(*arguments).exit_code for arguments in (("list",), ("list", "--json"), ("stats",))] == [0, 0, 0]
    assert command("check").exit_code == 1
    assert command("show", filled[2].id).exit_code == 0


def test_looking_while_the_gateway_writes(command: Command, tmp_path: Path) -> None:
    async def look() -> list[Result]:
        outbox = Outbox(tmp_path, FakeClock())
        outbox.open()
        await outbox.append([], [Addressed(event(1), ("crm",))])
        writing = asyncio.create_task(outbox.run(_hold_for_a_while))
        results = [
            await asyncio.to_thread(command, *arguments)
            for arguments in (("list",), ("stats",), ("check",), ("show", event(1).id), ("export", str(tmp_path / "out")))
        ]
        await writing
        await outbox.append([], [Addressed(event(2), ("crm",))])
        await outbox.close()
        return results

    results = asyncio.run(look())
    assert [result.exit_code for result in results] == [0] * 5
    assert event(1).id in results[0].output


def _hold_for_a_while(connection: sqlite3.Connection) -> None:
    """An operation of the writer that takes a moment, with its transaction open."""
    connection.execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 2000000) SELECT sum(i) FROM n").fetchone()


def test_a_folder_with_a_difficult_name(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "a?b #%20"
    open_database(folder)[0].close()
    assert command("list", state_dir=folder).output == "nothing waits\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_folder_that_may_only_be_read(tmp_path: Path, filled: list[Event]) -> None:
    """Of a gateway that does not run: there is no shared memory to read with, and none can be made."""
    code = (
        "import os, sys, click, gateway.commands.outbox; from gateway.cli import main; os.setuid(65534); "
        "main(sys.argv[1:], prog_name='lineside')"
    )
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        shutil.copy(tmp_path / FILE_NAME, name)
        run = [sys.executable, "-c", code, "outbox", "list", "--state-dir", name]
        done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
        assert os.listdir(name) == [FILE_NAME]
    assert (done.returncode, done.stderr) == (0, "")
    assert filled[3].id in done.stdout


@pytest.mark.parametrize(("megabytes", "rows"), [(200, 2_000), pytest.param(300, 10_000, marks=pytest.mark.long)])
def test_a_large_outbox_costs_no_memory(tmp_path: Path, megabytes: int, rows: int) -> None:
    """In rows of 100 or 30 kB; a process with 300 MB of addresses, 165 of them taken before it begins, lists, checks and exports them."""
    connection, _ = open_database(tmp_path)
    with closing(connection):
        connection.execute("PRAGMA synchronous=OFF")
        one = event(0)
        data = json.dumps({"title": "x" * (megabytes * 1_000_000 // rows)}).encode()
        fat = {name: getattr(one, name) for name in one.__struct_fields__} | {"data": data}
        for start in range(0, rows, 1000):
            connection.execute("BEGIN")
            numbers = range(start, start + 1000)
            append(connection, [], [Addressed(Event(**fat | {"id": f"gwy-{number:05d}"}), ("crm",)) for number in numbers])
            connection.execute("COMMIT")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))

    code = """
import json, os, sys
from gateway.cli import main
for arguments in json.loads(sys.argv[1]):
    if not os.fork():
        main(["outbox", *arguments, "--state-dir", "."], prog_name="lineside")
    assert os.wait()[1] == 0, arguments
    print("--", flush=True)
"""
    wanted = [(["list"], 21), (["list", "--limit", str(rows)], rows), (["check"], 5), (["stats"], 3), (["export", "out"], 1)]
    run = [sys.executable, "-c", code, json.dumps([arguments for arguments, _ in wanted])]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path, preexec_fn=limited)
    assert (done.returncode, done.stderr) == (0, "")
    assert [len(said.splitlines()) for said in done.stdout.split("--\n")[:-1]] == [lines for _, lines in wanted]
    with (tmp_path / "out").open("rb") as file:
        assert sum(1 for _ in file) == rows
