"""`lineside feedback ...`: verdicts given at the gateway, what they say, and how they are taken back."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.cli.feedback import JUDGEMENTS
from gateway.clock import SystemClock, record
from gateway.clock.signs import boot_id, since_boot_ns
from gateway.config import load
from gateway.contract import FeedbackOptions, Judgement, Verdict
from gateway.feedback.factors import Move, Place, factors, move
from gateway.feedback.study import study
from gateway.incidents import Incident
from gateway.outbox import labels
from gateway.outbox.append import IncidentRow, append
from gateway.outbox.audit import audit
from gateway.outbox.database import FILE_NAME, open_database
from gateway.outbox.store import Outbox

T0 = 1_800_000_000_000_000_000
DAY = 86_400_000_000_000
WATCH = "oil"
Command = Callable[..., Result]
Incidents = Callable[..., str]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    def run(*arguments: str, state_dir: Path = tmp_path) -> Result:
        return CliRunner().invoke(main, ["feedback", *arguments, "--state-dir", str(state_dir)])

    return run


@pytest.fixture
def file(tmp_path: Path) -> sqlite3.Connection:
    """An outbox as a gateway left it."""
    return open_database(tmp_path)[0]


@pytest.fixture
def raised(file: sqlite3.Connection) -> Incidents:
    """An incident that was raised; its id."""

    def incident(name: str, condition: str = "temperature_anomaly", *, detector: str = WATCH, raised_ns: int = T0) -> str:
        times = {"since_ns": T0 - 5, "changed_ns": T0, "raised_ns": raised_ns}
        state: dict[str, Any] = {"state": "open", "active": True, "severity": 13, "peak": 13, "score": 6.0, "title": "too hot"}
        names = {"id": f"inc-{name}", "machine": "press-07", "condition": condition, "detector": detector, "domain": "anomaly"}
        body = Incident(**names, **state, **times)
        row = IncidentRow(body.id, body.machine, condition, "open", T0 - 5, raised_ns, T0, body.dump())
        append(file, [row], [])
        return body.id

    return incident


def kept(file: sqlite3.Connection) -> list[labels.LabelRow]:
    return labels.recent(file, 100)


def judge(file: sqlite3.Connection, incident: str, judgement: str, *, t_ns: int = T0) -> None:
    """A verdict that a destination brought."""
    number = len(kept(file))
    verdict = Verdict(id=f"v{number}", incident=incident, judgement=Judgement(judgement), t_ns=t_ns, by="Jane", case="500042")
    labels.add(file, [verdict], origin="crm", now_ns=t_ns)


def raise_factor(
    file: sqlite3.Connection, condition: str = "temperature_anomaly", factor: float = 1.05, watch: str = WATCH, machine: str = "press-07"
) -> None:
    move(file, Move(Place(watch, machine, condition), 1.0, factor, "Jane (crm)", "false_alarm of inc-1"), now_ns=T0)


@pytest.mark.parametrize("judgement", JUDGEMENTS)
def test_a_verdict_is_kept_with_the_names_of_its_incident(
    command: Command, file: sqlite3.Connection, raised: Incidents, judgement: str
) -> None:
    incident = raised("a1")
    result = command("add", incident, judgement, "--by", "Anna", "--comment", "sensor was loose", "--case", "500042")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"inc-a1 (press-07 temperature_anomaly): {judgement}" in result.stdout
    (row,) = kept(file)
    assert (row.incident, row.machine, row.condition, row.detector) == (incident, "press-07", "temperature_anomaly", WATCH)
    assert (row.judgement, row.by, row.comment, row.case_number, row.origin) == (judgement, "Anna", "sensor was loose", "500042", "command")


def test_a_verdict_is_of_the_time_that_the_gateway_has(
    command: Command, file: sqlite3.Connection, raised: Incidents, tmp_path: Path
) -> None:
    """The system's clock may be far behind it while no time server has answered."""
    now_ns = time.time_ns() + 400 * DAY
    known = record.Record(boot=boot_id(), offset_ns=now_ns - since_boot_ns(), state="not_yet", seen_ns=now_ns)
    record.save(tmp_path, msgspec.json.encode(known))
    assert command("add", raised("a1"), "false_alarm").exit_code == 0
    assert min(kept(file)[0].t_ns, kept(file)[0].recorded_ns) >= now_ns
    raise_factor(file)
    assert command("revert").exit_code == 0
    assert file.execute("SELECT max(at_ns) FROM audit").fetchone()[0] >= now_ns


def test_the_verdicts_of_the_contract_and_of_the_command_are_the_same() -> None:
    assert set(JUDGEMENTS) == {judgement.value for judgement in Judgement}


def test_who_says_so_is_the_user_unless_somebody_is_named(
    command: Command, file: sqlite3.Connection, raised: Incidents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "anna")
    command("add", raised("a1"), "false_alarm")
    command("add", raised("b1"), "false_alarm", "--by", "Berta")
    assert [row.by for row in kept(file)] == ["Berta", "anna"]


def test_the_beginning_of_an_id_is_enough_if_only_one_begins_with_it(command: Command, file: sqlite3.Connection, raised: Incidents) -> None:
    raised("a1"), raised("a2"), raised("b1")
    assert command("add", "inc-b", "maintenance").exit_code == 0
    result = command("add", "inc-a", "maintenance")
    assert (result.exit_code, result.stderr) == (1, "'inc-a' is the beginning of more than one id (inc-a1, inc-a2); write more of it\n")
    assert [row.incident for row in kept(file)] == ["inc-b1"]


def test_an_id_that_is_the_beginning_of_another_one_is_itself(command: Command, file: sqlite3.Connection, raised: Incidents) -> None:
    raised("a1"), raised("a12")
    assert command("add", "inc-a1", "maintenance").exit_code == 0
    assert [row.incident for row in kept(file)] == ["inc-a1"]


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        (
            "inc-zz",
            "there is no incident 'inc-zz', or it is forgotten (after 90 days); the latest are inc-a1 (press-07 temperature_anomaly)",
        ),
        ("inc-a1-3", "'inc-a1-3' is an event of the incident inc-a1; give that one"),
        ("", "there is no incident ''"),
        ("inc-\udcff", "there is no incident 'inc-\\udcff'"),
        ("inc-pending", "there is no incident 'inc-pending'"),
    ],
)
def test_an_incident_that_is_none_is_refused_with_a_remedy(
    command: Command, file: sqlite3.Connection, raised: Incidents, identity: str, said: str
) -> None:
    raised("a1"), raised("pending", raised_ns=0)
    result = command("add", identity, "false_alarm")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(said)
    assert kept(file) == []


def test_a_gateway_that_has_raised_nothing_says_so(command: Command, file: sqlite3.Connection) -> None:
    result = command("add", "inc-a1", "false_alarm")
    assert (result.exit_code, kept(file)) == (1, [])
    assert "this gateway has raised none" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "inc-a1", "false"), "'false' is not one of 'true_positive', 'false_alarm', 'known_issue', 'maintenance'"),
        (("add", "inc-a1"), "Missing argument 'VERDICT'"),
        (("add",), "Missing argument 'INCIDENT'"),
        (("add", "inc-a1", "false_alarm", "--comment", "x" * 4001), "4,001 characters; at most 4,000"),
        (("add", "inc-a1", "false_alarm", "--by", "a\nb"), "write it on one line"),
        (("list", "--limit", "0"), "0 is not in the range x>=1"),
        (("revert", "--wach", "oil"), "--wach"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(
    command: Command, file: sqlite3.Connection, raised: Incidents, arguments: tuple[str, ...], said: str
) -> None:
    raised("a1")
    result = command(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert kept(file) == []


@pytest.mark.parametrize("arguments", [("add", "inc-a1", "false_alarm"), ("list",), ("precision",), ("audit",), ("revert",)])
def test_without_an_outbox_every_command_says_where_to_look(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = command(*arguments, state_dir=tmp_path / "elsewhere")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"there is no outbox in {tmp_path / 'elsewhere'}; name the state folder with --state-dir\n"
    assert list(tmp_path.iterdir()) == []


def test_a_second_verdict_on_an_incident_says_what_stood_there(command: Command, raised: Incidents) -> None:
    incident = raised("a1")
    assert command("add", incident, "false_alarm", "--by", "Anna").stderr == ""
    assert command("add", incident, "false_alarm").stderr == "that stood there already, by Anna; it counts once\n"
    result = command("add", incident, "true_positive")
    assert result.exit_code == 0
    assert "instead of false_alarm by" in result.stderr


def test_the_list_has_the_latest_first_and_says_how_many_more_there_are(
    command: Command, file: sqlite3.Connection, raised: Incidents
) -> None:
    assert command("list").stdout == "there are no verdicts\n"
    judge(file, raised("a1"), "false_alarm")
    judge(file, "inc-of-long-ago", "true_positive")
    lines = command("list").stdout.splitlines()
    assert lines == [
        "2027-01-15T08:00:00Z  true_positive  inc-of-long-ago  not known here  Jane (crm)  case 500042",
        "2027-01-15T08:00:00Z  false_alarm    inc-a1  press-07/temperature_anomaly (oil)  Jane (crm)  case 500042",
    ]
    assert command("list", "--limit", "1").stdout.splitlines()[1] == "and 1 more; --limit shows more"


def test_the_list_as_json_has_everything_that_was_said(command: Command, file: sqlite3.Connection, raised: Incidents) -> None:
    judge(file, raised("a1"), "false_alarm")
    assert json.loads(command("list", "--json").stdout) == {
        "number": 1, "id": "v0", "incident": "inc-a1", "machine": "press-07", "condition": "temperature_anomaly", "watch": WATCH,
        "judgement": "false_alarm", "at": "2027-01-15T08:00:00Z", "recorded": "2027-01-15T08:00:00Z", "origin": "crm", "by": "Jane",
        "comment": "", "case": "500042",
    }  # fmt: skip


def test_what_a_crm_wrote_cannot_command_the_terminal(command: Command, file: sqlite3.Connection, raised: Incidents) -> None:
    said = {"by": "\x1b[31mJane", "comment": "two\nlines \x9b2J"}
    labels.add(file, [Verdict(id="v", incident=raised("a1"), judgement=Judgement.MAINTENANCE, t_ns=T0, **said)], origin="crm", now_ns=T0)
    for arguments in (("list",), ("list", "--json")):
        (line,) = command(*arguments).stdout.splitlines()
        assert line.isprintable()


def test_precision_counts_one_vote_per_incident_and_the_last_ninety_days(
    command: Command, file: sqlite3.Connection, raised: Incidents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: T0 + 100 * DAY)
    for name in ("a", "b", "c"):
        judge(file, raised(name), "true_positive", t_ns=T0)
    judge(file, raised("d"), "true_positive", t_ns=T0 + 99 * DAY)
    judge(file, "inc-d", "false_alarm", t_ns=T0 + 99 * DAY)
    judge(file, raised("e", detector="current"), "maintenance", t_ns=T0 + 99 * DAY)
    judge(file, "inc-of-long-ago", "false_alarm", t_ns=T0)
    found = json.loads(command("precision", "--json").stdout)
    assert found["watches"][WATCH] == {
        "last_90_days": {"true_positive": 0, "false_alarm": 1, "known_issue": 0, "maintenance": 0, "precision": 0.0},
        "ever": {"true_positive": 3, "false_alarm": 1, "known_issue": 0, "maintenance": 0, "precision": 0.75},
    }
    assert found["watches"]["current"]["ever"]["precision"] is None
    assert found["incidents_not_known"] == 1
    head, current, oil, unknown, thresholds = command("precision").stdout.splitlines()
    assert head.split()[:4] == ["watch", "last", "90", "days"]
    assert current.split() == ["current", "-", "-", "0", "0", "0", "1"]
    assert oil.split() == ["oil", "0", "%", "of", "1", "75", "%", "of", "4", "3", "1", "0", "0"]
    assert unknown == "verdicts on 1 incident that are not known here count for no watch"
    assert thresholds == "every threshold is as configured"


def test_precision_names_the_thresholds_that_are_moved(command: Command, file: sqlite3.Connection) -> None:
    raise_factor(file, factor=1.1025)
    assert command("precision").stdout.splitlines() == [
        "nobody has judged an incident yet",
        "moved thresholds:",
        "  oil press-07/temperature_anomaly  1.103 times the configured one",
    ]
    thresholds = json.loads(command("precision", "--json").stdout)["thresholds"]
    assert thresholds == [{"watch": WATCH, "machine": "press-07", "condition": "temperature_anomaly", "factor": 1.1025}]


def test_the_audit_says_who_changed_what(command: Command, file: sqlite3.Connection) -> None:
    assert command("audit").stdout == "nobody has changed anything\n"
    raise_factor(file)
    audit(file, who="anna (command)", what="dead letter dropped", name="inc-1-2", before="unit", after="", now_ns=T0)
    assert command("audit").stdout.splitlines() == [
        "2027-01-15T08:00:00Z  anna (command)  dead letter dropped  inc-1-2  unit -> -",
        "2027-01-15T08:00:00Z  Jane (crm)  threshold: false_alarm of inc-1  oil press-07/temperature_anomaly  1 -> 1.05",
    ]
    assert command("audit", "--limit", "1").stdout.splitlines()[1] == "and 1 more; --limit shows more"
    assert json.loads(command("audit", "--json").stdout.splitlines()[1])["after"] == "1.05"


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ((), set()),
        (("--watch", "oil"), {("current", "press-07", "a")}),
        (("--machine", "press-08"), {("oil", "press-07", "a"), ("oil", "press-07", "b"), ("current", "press-07", "a")}),
        (("--condition", "a"), {("oil", "press-07", "b")}),
        (
            ("--watch", "oil", "--machine", "press-07", "--condition", "a"),
            {("oil", "press-07", "b"), ("oil", "press-08", "a"), ("current", "press-07", "a")},
        ),
    ],
)
def test_revert_takes_back_what_is_named(
    command: Command, file: sqlite3.Connection, arguments: tuple[str, ...], left: set[tuple[str, str, str]]
) -> None:
    for watch, machine, condition in (
        ("oil", "press-07", "a"), ("oil", "press-07", "b"), ("oil", "press-08", "a"), ("current", "press-07", "a"),
    ):  # fmt: skip
        raise_factor(file, condition, watch=watch, machine=machine)
    result = command("revert", *arguments)
    assert result.exit_code == 0
    assert {tuple(place) for place, factor in factors(file).items() if factor != 1.0} == left
    assert result.stdout.splitlines()[-1].startswith(f"{4 - len(left)} threshold")


def test_revert_stands_in_the_audit_and_the_verdicts_stay(
    command: Command, file: sqlite3.Connection, raised: Incidents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "anna")
    judge(file, raised("a1"), "false_alarm")
    raise_factor(file)
    assert command("revert").stdout.splitlines()[0] == "oil press-07/temperature_anomaly  1.05 -> 1"
    assert "anna (command)" in command("audit", "--limit", "1").stdout
    assert len(kept(file)) == 1


def test_revert_with_nothing_to_take_back(command: Command, file: sqlite3.Connection) -> None:
    assert command("revert").stdout == "every threshold is as configured\n"
    result = command("revert", "--watch", "oil")
    assert (result.exit_code, result.stderr) == (1, "nothing was changed: every threshold is as configured\n")
    raise_factor(file)
    result = command("revert", "--watch", "oli")
    assert result.exit_code == 1
    assert result.stderr == "nothing was changed: no moved threshold is meant; moved are oil press-07/temperature_anomaly\n"
    assert factors(file)[Place(WATCH, "press-07", "temperature_anomaly")] == 1.05


def test_while_somebody_else_writes_too_long_it_says_so(
    command: Command, file: sqlite3.Connection, raised: Incidents, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = raised("a1")
    monkeypatch.setattr("gateway.commands.database.BUSY_SECONDS", 0.05)
    file.execute("BEGIN IMMEDIATE")
    result = command("add", incident, "false_alarm")
    file.execute("ROLLBACK")
    assert result.exit_code == 1
    assert "is busy" in result.stderr
    assert kept(file) == []


def test_revert_also_covers_verdicts_that_were_not_learnt_from_yet(command: Command, file: sqlite3.Connection, raised: Incidents) -> None:
    """The gateway is stopped: it must not move again at its start what was taken back."""
    raise_factor(file)
    judge(file, raised("a1"), "false_alarm")
    assert command("revert").exit_code == 0
    assert study(file, {WATCH: FeedbackOptions()}, learn=True, now_ns=T0).moves == []
    assert set(factors(file).values()) == {1.0}


async def test_beside_a_running_gateway_verdicts_move_a_threshold_and_revert_takes_it_back(
    command: Command, raised: Incidents, file: sqlite3.Connection, tmp_path: Path
) -> None:
    """The gateway's own connection is open; what it would do within seconds is done here by hand."""
    incidents, bounds = [raised(f"a{n}") for n in range(8)], {WATCH: FeedbackOptions(step=0.05, at_most=0.25)}
    file.close()
    outbox, place = Outbox(tmp_path, SystemClock()), Place(WATCH, "press-07", "temperature_anomaly")
    assert outbox.open() is None

    async def studied() -> float:
        found = await outbox.run(lambda connection: study(connection, bounds, learn=True, now_ns=T0))
        return found.factors.get(place, 1.0)

    try:
        for incident in incidents:
            result = await asyncio.to_thread(command, "add", incident, "false_alarm", "--by", "Anna")
            assert result.exit_code == 0
        assert await studied() == 1.25
        assert (await asyncio.to_thread(command, "revert")).exit_code == 0
        assert await studied() == 1.0
    finally:
        await outbox.close()


def test_the_help_names_all_of_it(command: Command) -> None:
    text = CliRunner().invoke(main, ["feedback", "-h"]).stdout
    assert all(f"\n  {name} " in text for name in ("add", "audit", "list", "precision", "revert"))
    assert not [line for line in text.splitlines() if line.startswith("  ") and line.endswith("...")]


def test_damage_in_a_row_hides_nothing_else(command: Command, file: sqlite3.Connection, raised: Incidents, tmp_path: Path) -> None:
    judge(file, raised("a1"), "false_alarm")
    judge(file, raised("b1"), "false_alarm")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE label SET judgement = CAST(X'ff66' AS TEXT), t_ns = ? WHERE number=1", (2**62,))
    lines = command("list").stdout.splitlines()
    assert len(lines) == 2
    assert "inc-b1" in lines[0]
    assert json.loads(command("precision", "--json").stdout)["watches"][WATCH]["ever"]["false_alarm"] == 1


DOCUMENT = (Path(__file__).parents[2] / "docs/feedback.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```console\n\$ lineside feedback (.*?)\n(.*?)```", DOCUMENT, flags=re.DOTALL)


def test_the_examples_of_the_documentation_happen_as_they_stand_there(
    file: sqlite3.Connection, raised: Incidents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight incidents judged before, three of them lately; then the examples, one after the other."""
    monkeypatch.setenv("SUDO_USER", "Eva")
    monkeypatch.setattr(time, "time_ns", lambda: T0)
    before = [("true_positive", 200)] * 4 + [("maintenance", 200), ("true_positive", 30), ("false_alarm", 20)]
    for number, (judgement, days) in enumerate(before):
        judge(file, raised(f"{number}", "oil_temperature_anomaly"), judgement, t_ns=T0 - days * DAY)
    yesterday = Verdict(
        id="sf-1", incident=raised("91aa04e3f6", "oil_temperature_anomaly"), judgement=Judgement.TRUE_POSITIVE, by="Jane", case="500031",
        t_ns=1_799_939_529 * 10**9,
    )  # fmt: skip
    labels.add(file, [yesterday], origin="crm", now_ns=T0)
    labels.learnt(file, 8)
    raised("5b0e91c7d2", "oil_temperature_anomaly")
    assert [line.split()[0] for line, _ in EXAMPLES] == ["add", "precision", "list", "audit", "revert"]
    for line, shown in EXAMPLES:
        result = CliRunner().invoke(main, ["feedback", *shlex.split(line), "--state-dir", str(tmp_path)])
        assert result.exit_code == 0
        assert result.stdout.splitlines()[: len(shown.splitlines())] == shown.splitlines()
        study(file, {WATCH: FeedbackOptions()}, learn=True, now_ns=T0 + 10**9)


def test_the_configuration_of_the_documentation_has_feedback_with_its_defaults(tmp_path: Path) -> None:
    (sample,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    (tmp_path / "lineside.yaml").write_text(sample, encoding="utf-8")
    (watch,) = load(tmp_path / "lineside.yaml", secrets=False).watches
    assert watch.options.feedback == FeedbackOptions()
    rows = dict(re.findall(r"^\| `(step|at_most)` \| ([0-9.]+) \|", DOCUMENT, flags=re.MULTILINE))
    assert {name: float(text) for name, text in rows.items()} == FeedbackOptions().model_dump()
