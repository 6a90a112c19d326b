"""Verdicts by asking: each once, in order, over restarts and pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import SystemClock
from gateway.contract import Judgement, NotConnected, Verdict
from gateway.outbox import labels
from gateway.outbox.store import Outbox
from gateway.testkit.servers.salesforce import Salesforce
from gateway.uplink.https.soql import Mark, SoqlFeedback, load, newer, save

GATEWAY = "test-gw"
START = datetime(2027, 1, 15, 8, tzinfo=UTC)
Ask = Callable[..., SoqlFeedback]


@pytest.fixture
async def ask(org: Salesforce, tmp_path: Path) -> AsyncIterator[Ask]:
    """``ask(gateway)``: feedback of an org whose token is given; it asks without waiting."""
    form = {"grant_type": "client_credentials", "client_id": "3MVG9.app", "client_secret": "s3cret"}
    token = org.logins.token(form, "", org.now())["access_token"]
    async with aiohttp.ClientSession(org.url, headers={"Authorization": f"Bearer {token}"}) as session:

        async def get(path: str) -> Any:
            async with session.get(path) as answer:
                if answer.status != 200:
                    raise NotConnected(org.url, await answer.text())
                return await answer.json()

        yield lambda gateway=GATEWAY, poll=0.001: SoqlFeedback(
            get, gateway=gateway, clock=SystemClock(), state_dir=tmp_path, poll_seconds=poll
        )


def case(org: Salesforce, alarm: str, verdict: str | None, *, gateway: str = GATEWAY) -> dict[str, Any]:
    given = {"Subject": alarm, "Gateway_Alarm_Id__c": alarm, "Gateway__c": gateway}
    result = org.org.create("Case", given | ({"Gateway_Verdict__c": verdict} if verdict else {}))
    return org.org.records[result["id"]]


async def read(feedback: SoqlFeedback) -> list[Verdict]:
    async with asyncio.timeout(5):
        return await feedback.read()


async def quiet(org: Salesforce, feedback: SoqlFeedback) -> None:
    """It asks three times more and tells nothing."""
    before, reading = len(org.calls), asyncio.create_task(feedback.read())
    async with asyncio.timeout(5):
        while len(org.calls) < before + 3:
            assert not reading.done()
            await asyncio.sleep(0.001)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def test_a_verdict_comes_once_and_again_only_when_it_changes(org: Salesforce, ask: Ask) -> None:
    feedback = ask()
    await feedback.connect()
    there = case(org, "inc-1", "False_Alarm")
    case(org, "inc-2", None)
    case(org, "inc-3", "False_Alarm", gateway="another")
    [first] = await read(feedback)
    assert (first.incident, first.judgement, first.by, first.case) == ("inc-1", Judgement.FALSE_ALARM, "Service", there["CaseNumber"])
    org.org.update(there, {"Subject": "a word more"})
    await quiet(org, feedback)
    org.org.update(there, {"Gateway_Verdict__c": "True_Positive"})
    [second] = await read(feedback)
    assert second.judgement is Judgement.TRUE_POSITIVE
    assert second.id != first.id


async def test_a_verdict_that_is_changed_and_changed_back_is_told_each_time(org: Salesforce, ask: Ask, tmp_path: Path) -> None:
    feedback, outbox = ask(), Outbox(tmp_path / "state", SystemClock())
    outbox.open()
    await feedback.connect()
    there = case(org, "inc-1", "False_Alarm")
    counted = []
    for seconds, value in enumerate(["False_Alarm", "True_Positive", "False_Alarm"]):
        org.ahead = seconds
        org.org.update(there, {"Gateway_Verdict__c": value})
        verdicts = await read(feedback)
        counted += [row.judgement for row in await outbox.run(partial(labels.add, verdicts=verdicts, origin="crm", now_ns=1))]
    assert counted == ["false_alarm", "true_positive", "false_alarm"]
    await quiet(org, feedback)
    org.ahead = 9
    org.org.update(there, {"Subject": "a word more"})
    await quiet(org, feedback)
    await outbox.close()


async def test_every_value_of_the_picklist_is_understood(org: Salesforce, ask: Ask) -> None:
    feedback = ask()
    await feedback.connect()
    for number, value in enumerate(org.org.fields("Case")["Gateway_Verdict__c"].values):
        case(org, f"inc-{number}", value)
    assert {verdict.judgement for verdict in await read(feedback)} == set(Judgement)


async def test_what_was_not_acknowledged_comes_again_with_the_same_id(org: Salesforce, ask: Ask) -> None:
    first, second, third = ask(), ask(), ask()
    case(org, "inc-1", "Known_Issue")
    await first.connect()
    [told] = await read(first)
    await first.close()  # a crash: nobody asked again, so it may not be on disk
    await second.connect()
    assert await read(second) == [told]
    await quiet(org, second)  # acknowledged
    await third.connect()
    await quiet(org, third)


async def test_all_pages_are_read(org: Salesforce, ask: Ask) -> None:
    org.api.page = 2
    for number in range(7):
        case(org, f"inc-{number}", "Maintenance")
    feedback = ask()
    await feedback.connect()
    assert len(await read(feedback)) == 7
    assert len(org.calls) == 4


async def test_a_change_that_shows_late_is_not_missed(org: Salesforce, ask: Ask) -> None:
    """Its time lies before one that was already seen."""
    org.ahead = -60
    late = case(org, "inc-1", None)
    org.ahead = 0
    feedback = ask()
    await feedback.connect()
    case(org, "inc-2", "False_Alarm")
    assert [verdict.incident for verdict in await read(feedback)] == ["inc-2"]
    late["Gateway_Verdict__c"] = "True_Positive"
    assert [verdict.incident for verdict in await read(feedback)] == ["inc-1"]


async def test_a_value_nobody_knows_is_passed_over_and_told(org: Salesforce, ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    case(org, "inc-1", None)["Gateway_Verdict__c"] = "Perhaps"
    case(org, "inc-2", "False_Alarm")
    feedback = ask()
    await feedback.connect()
    assert [verdict.incident for verdict in await read(feedback)] == ["inc-2"]
    assert "verdict not understood" in caplog.text


async def test_an_org_that_refuses_is_not_asked_again_at_once(org: Salesforce, ask: Ask) -> None:
    del org.org.objects["Case"]["Gateway_Verdict__c"]  # type: ignore[attr-defined]  the folder was not deployed
    feedback = ask(poll=3600.0)
    await feedback.connect()
    with pytest.raises(NotConnected, match="No such column"):
        await read(feedback)
    await feedback.connect()
    waiting = asyncio.create_task(feedback.read())
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done
    assert len(org.calls) == 1
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_the_name_of_a_gateway_cannot_change_the_question(org: Salesforce, ask: Ask) -> None:
    case(org, "inc-1", "False_Alarm", gateway="x' OR Subject != '")
    case(org, "inc-2", "False_Alarm")
    feedback = ask("x' OR Subject != '")
    await feedback.connect()
    assert [verdict.incident for verdict in await read(feedback)] == ["inc-1"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"at": "soon"}',
        '{"at": 5}',
        '{"told": {}}',
        *(f'{{"at": "{START}", "told": {told}}}' for told in ("5", '"x"', '{"a": 1}', '{"a": ["b", "c"]}')),
    ],
)
def test_a_damaged_mark_begins_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "feedback.json").write_text(content)
    assert load(tmp_path / "feedback.json") is None


def test_mark_survives(tmp_path: Path) -> None:
    mark = Mark(START, {"500000000000001": ("false_alarm", START)})
    save(tmp_path / "deep" / "feedback.json", mark)
    assert load(tmp_path / "deep" / "feedback.json") == mark
    assert list(json.loads((tmp_path / "deep" / "feedback.json").read_text())["told"]) == ["500000000000001"]


def test_mark_of_an_earlier_version_keeps_its_time(tmp_path: Path) -> None:
    (tmp_path / "feedback.json").write_text(json.dumps({"at": START.isoformat(), "seen": ["sf-1"]}))
    assert load(tmp_path / "feedback.json") == Mark(START)


def test_cases_that_are_remembered_are_bounded_and_those_of_the_overlap_are_among_them() -> None:
    def rows(start: datetime, step: timedelta) -> list[dict[str, Any]]:
        given = {"Gateway_Alarm_Id__c": "inc", "Gateway_Verdict__c": "False_Alarm"}
        return [{"Id": f"500{n:012d}AAA", "SystemModstamp": (start + n * step).isoformat(), **given} for n in range(2500)]

    told, mark = newer(rows(START, timedelta(minutes=1)), Mark(START))
    assert (len(told), len(mark.told), newer(rows(START, timedelta(minutes=1))[500:], mark)[0]) == (2500, 2000, [])
    told, mark = newer(rows(START, timedelta(0)), Mark(START))
    assert (len(told), len(mark.told), newer(rows(START, timedelta(0)), mark)[0]) == (2500, 2500, [])


CHANGES = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["False_Alarm", "True_Positive"]), st.integers(0, 600)), max_size=12)


@given(CHANGES, st.lists(st.integers(0, 12), max_size=4))
def test_every_verdict_is_told_however_the_asking_falls(changes: list[tuple[int, str, int]], asked_after: list[int]) -> None:
    """Cases change at rising times, questions come between: each verdict that an answer held is told once, and again only after another."""
    now, table, mark = START, {}, Mark(START - timedelta(hours=1))
    told: dict[int, list[Verdict]] = {number: [] for number in range(5)}
    expected: dict[int, list[str]] = {number: [] for number in range(5)}

    def question() -> None:
        nonlocal mark
        rows = sorted((row for row in table.values() if row["at"] >= mark.since), key=lambda row: row["at"])
        verdicts, mark = newer([{k: v for k, v in row.items() if k != "at"} for row in rows], mark)
        for verdict in verdicts:
            told[int(verdict.incident.removeprefix("inc-"))].append(verdict)
        for number, row in table.items():
            if expected[number][-1:] != [row["Gateway_Verdict__c"].lower()]:
                expected[number].append(row["Gateway_Verdict__c"].lower())

    for index, (number, value, seconds) in enumerate(changes):
        now += timedelta(seconds=seconds)
        row = {"Id": f"500{number:012d}AAA", "Gateway_Alarm_Id__c": f"inc-{number}", "Gateway_Verdict__c": value}
        table[number] = {**row, "SystemModstamp": now.isoformat(), "at": now}
        if index in asked_after:
            question()
    question()
    assert {number: [verdict.judgement.value for verdict in verdicts] for number, verdicts in told.items()} == expected
