"""What answers mean, by the tables of the options."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Outcome, Usage
from gateway.testkit.posting import Bench, incident, kinds
from gateway.testkit.servers.crm import Answer as Said
from gateway.testkit.servers.crm import Site
from gateway.uplink.https.answers import LONGEST_WAIT, Answer
from gateway.uplink.https.judge import Judge
from gateway.uplink.https.rules import ResultOptions

TOO_LONG = {"success": False, "errors": [{"statusCode": "STRING_TOO_LONG", "fields": ["Subject", "A__c"]}]}
NOW = 1_800_000_000.0  # a full hour
WORDS = {"code": "errors[0].statusCode", "message": "errors[0].message", "fields": "errors[0].fields"}
PER_ITEM = {"path": "$", "ok": "success == true", **WORDS}
TABLE: dict[str, Any] = {
    "per_item": PER_ITEM,
    "error": {"code": ["$[0].errorCode", "error.code"], "message": "$[0].message"},
    "auth_codes": ["INVALID_SESSION_*"],
    "quota": [{"status": 403, "code": "REQUEST_LIMIT_EXCEEDED", "hold": "15m"}, {"code": "LIMIT_EXCEEDED", "hold": "next_hour"}],
    "duplicate_ok": [{"code": "DUPLICATE_VALUE"}],
    "retryable_codes": ["UNABLE_TO_LOCK_ROW"],
    "hold_codes": ["INSUFFICIENT_ACCESS*"],
}


def judged(status: int, body: Any = b"", count: int = 1, headers: dict[str, str] | None = None, **options: Any) -> list[Outcome] | None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = Answer(status, headers or {}, raw)
    return Judge(ResultOptions.model_validate(options)).outcomes(answer, [str(n) for n in range(count)], NOW)


def only(outcomes: list[Outcome] | None) -> Outcome:
    assert outcomes is not None
    assert len(set(outcomes)) == 1
    return outcomes[0]


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        ("sent", [200, 201, 202, 204]),
        ("retry", [408, 409, 425, 429, 500, 501, 502, 503, 504, 507]),
        ("hold", [300, 301, 302, 307, 308, 401, 402, 403, 404, 405, 407, 410, 415]),
        ("park", [400, 406, 411, 413, 414, 417, 422, 431, 451]),
    ],
)
def test_each_status_has_its_outcome(kind: str, statuses: list[int]) -> None:
    assert [only(judged(status)).kind.value for status in statuses] == [kind] * len(statuses)


def test_what_may_have_been_taken_is_unknown() -> None:
    unknown = {status: only(judged(status)).unknown for status in (408, 409, 425, 429, 500, 502, 503, 504)}
    assert [status for status, is_unknown in unknown.items() if is_unknown] == [408, 409, 500, 502, 503, 504]


@pytest.mark.parametrize("status", [429, 503, 401, 403])
def test_retry_after_is_kept_where_waiting_helps(status: int) -> None:
    assert only(judged(status, headers={"retry-after": "7"})).after_seconds == 7.0


def test_address_that_is_gone_is_left_alone_for_hours() -> None:
    assert only(judged(410)).after_seconds == LONGEST_WAIT


def test_reason_holds_status_and_the_receivers_words() -> None:
    outcome = only(judged(422, b'{"error": "asset unknown"}'))
    assert (outcome.reason, outcome.code) == ('422: {"error": "asset unknown"}', "422")


@pytest.mark.parametrize(
    ("result", "kind", "code"),
    [
        ({"success": True, "errors": []}, "sent", ""),
        ({"success": True, "errors": [{"statusCode": "OPERATION_ENQUEUED", "message": "uuid"}]}, "sent", ""),
        ({"success": False, "errors": []}, "retry", ""),
        ({"success": "true"}, "retry", ""),
        ({"success": 1}, "retry", ""),
        ({}, "retry", ""),
        (None, "retry", ""),
        (
            {"success": False, "errors": [{"statusCode": "STRING_TOO_LONG", "fields": ["Subject", "A__c"]}]},
            "park",
            "STRING_TOO_LONG: Subject, A__c",
        ),
        ({"success": False, "errors": [{"statusCode": "DUPLICATE_VALUE"}]}, "duplicate", ""),
        ({"success": False, "errors": [{"statusCode": "UNABLE_TO_LOCK_ROW"}]}, "retry", ""),
        ({"success": False, "errors": [{"statusCode": "LIMIT_EXCEEDED"}]}, "hold", ""),
        ({"success": False, "errors": [{"statusCode": "INSUFFICIENT_ACCESS_OR_READONLY"}]}, "hold", ""),
        ({"success": False, "errors": [{"message": "no code"}]}, "park", "refused"),
    ],
)
def test_success_is_read_from_ok_and_everything_else_from_the_code(result: Any, kind: str, code: str) -> None:
    outcomes = judged(200, [{"success": True}, result], 2, **TABLE)
    assert outcomes is not None
    assert (outcomes[0].kind.value, outcomes[1].kind.value, outcomes[1].code) == ("sent", kind, code)


def test_quota_is_held_for_the_time_of_its_rule() -> None:
    hour = only(judged(200, [{"success": False, "errors": [{"statusCode": "LIMIT_EXCEEDED"}]}], **TABLE))
    day = only(judged(403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "too many"}], 3, **TABLE))
    told = only(judged(403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED"}], headers={"retry-after": "60"}, **TABLE))
    assert [(o.kind.value, o.after_seconds) for o in (hour, day, told)] == [("hold", 3600.0), ("hold", 900.0), ("hold", 60.0)]
    assert "too many" in day.reason


def test_the_next_hour_is_the_receivers() -> None:
    used_up = [{"success": False, "errors": [{"statusCode": "LIMIT_EXCEEDED"}]}]
    assert only(judged(200, used_up, headers={"date": "Fri, 15 Jan 2027 07:55:00 GMT"}, **TABLE)).after_seconds == 300.0


def test_code_of_a_login_that_ended_is_credentials_whatever_the_status() -> None:
    judge = Judge(ResultOptions.model_validate(TABLE))
    answer = Answer(403, {}, b'[{"errorCode":"INVALID_SESSION_ID"}]')
    assert judge.refuses_login(answer)
    assert judge.refuses_login(Answer(401, {}, b""))
    assert not judge.refuses_login(Answer(403, {}, b"[]"))
    assert not judge.refuses_login(Answer(200, {}, b'[{"errorCode":"INVALID_SESSION_ID"}]'))


def test_first_place_that_says_something_is_taken() -> None:
    assert only(judged(400, {"error": {"code": "SECOND"}}, **TABLE)).code == "SECOND"


def test_200_with_an_error_inside_is_no_success() -> None:
    options: dict[str, Any] = {"ok": 'status != "error"', "error": {"code": "code"}, "retryable_codes": ["BUSY"]}
    assert only(judged(200, {"status": "ok"}, 2, **options)).kind.value == "sent"
    assert judged(200, {"status": "error", "code": "BAD"}, 2, **options) is None
    assert only(judged(200, {"status": "error", "code": "BAD"}, 1, **options)).code == "BAD"
    assert only(judged(200, {"status": "error", "code": "BUSY"}, 2, **options)).kind.value == "retry"
    assert only(judged(200, b"<html>", 2, **options)).unknown


@pytest.mark.parametrize(("status", "whole"), [(422, False), (409, False), (413, False), (413, True)])
def test_refusal_that_names_no_event_is_split(status: int, whole: bool) -> None:
    options: dict[str, Any] = {"duplicate_ok": [{"status": 409}], "no_per_item": "whole" if whole else "bisect"}
    assert judged(status, count=2, **options) is None
    assert only(judged(status, count=1, **options)).kind.value == ("duplicate" if status == 409 else "park")


def test_refusal_is_everybodys_where_a_request_stands_or_falls_as_one() -> None:
    assert only(judged(422, count=5, no_per_item="whole")).kind.value == "park"


def test_code_counts_as_drift_only_where_it_is_listed() -> None:
    listed = {**TABLE, "drift_codes": ["INVALID_FIELD"]}
    refusals = ([{"success": False, "errors": [{"statusCode": code}]}] for code in ("INVALID_FIELD", "STRING_TOO_LONG"))
    codes = [only(judged(200, refusal, **listed)).code for refusal in refusals]
    assert codes == ["INVALID_FIELD", ""]


NAMED: dict[str, Any] = {"path": "results", "id": "ref", "failed": "errors", "failed_id": "context.refs", "code": "category"}


def test_results_by_name_are_in_any_order_and_what_is_not_named_is_unknown() -> None:
    body = {"results": [{"ref": "3"}, {"ref": "0"}], "errors": [{"category": "BAD", "context": {"refs": ["1", "9"]}}]}
    outcomes = judged(207, body, 4, per_item=NAMED)
    assert outcomes is not None
    assert kinds(outcomes) == ["sent", "park", "retry", "sent"]
    assert (outcomes[1].code, outcomes[2].unknown) == ("BAD", True)


@pytest.mark.parametrize("body", [{}, [], {"results": {}}, {"results": None, "errors": 3}, b"no", b""])
def test_results_by_name_that_are_not_there_leave_all_unknown(body: Any) -> None:
    outcome = only(judged(200, body, 3, per_item=NAMED))
    assert (outcome.kind.value, outcome.unknown) == ("retry", True)


_keys = st.sampled_from(["success", "errors", "statusCode", "results", "ref", "context", "refs"])
_leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
bodies = st.recursive(_leaves, lambda inner: st.lists(inner) | st.dictionaries(_keys, inner), max_leaves=20)


@given(bodies, st.integers(100, 599), st.integers(1, 4))
def test_no_answer_breaks_it_and_every_event_has_an_outcome(body: Any, status: int, count: int) -> None:
    tables: list[dict[str, Any]] = [TABLE, {"per_item": NAMED}, {"ok": "success == true"}, {}]
    for options in tables:
        outcomes = judged(status, body, count, **options)
        assert outcomes is None or len(outcomes) == count
        assert outcomes is not None or count > 1


@pytest.mark.parametrize(
    ("header", "usage"),
    [
        ("api-usage=10018/100000", Usage(10018, 100000)),
        ("api-usage=1/5; api-bursts=1/750", Usage(1, 5)),
        ("api-usage=1/0", None),
        ("something else", None),
        ("", None),
    ],
)
def test_usage_is_read_from_its_header(header: str, usage: Usage | None) -> None:
    judge = Judge(ResultOptions.model_validate({"usage": {"header": "Sforce-Limit-Info", "regex": r"api-usage=(\d+)/(\d+)"}}))
    assert judge.usage(Answer(200, {"sforce-limit-info": header}, b"")) == usage
    assert judge.usage(Answer(200, {}, b"")) is None


async def test_usage_is_told_with_every_answer(bench: Bench) -> None:
    async with Site() as site:
        result = {"usage": {"header": "X-Usage", "regex": r"(\d+) of (\d+)"}}
        uplink = await bench.uplink(site.url, result=result)
        site.script.extend([Said(204, None, {"X-Usage": "3 of 10"}), Said(500, None, {"X-Usage": "4 of 10"})])
        await uplink.send([incident(1)])
        await uplink.send([incident(2)])
    assert bench.usages == [Usage(3, 10), Usage(4, 10)]


async def test_everything_refused_for_one_reason_stops_the_halving(bench: Bench) -> None:
    async with Site() as site:
        site.script.extend([Said(400, {"code": "INVALID_FIELD", "message": "no such column"})] * 500)
        result = {"error": {"code": "code", "message": "message"}}
        uplink = await bench.uplink(site.url, body={"form": "array", "item": {"id": "{{ id }}"}}, result=result)
        outcomes = await uplink.send([incident(n) for n in range(200)])
        assert len(site.seen) < 20
    assert kinds(outcomes) == ["park"] * 3 + ["hold"] * 197
    assert {o.code for o in outcomes[:3]} == {"INVALID_FIELD"}


async def test_event_already_there_does_not_hide_that_its_neighbours_are_not(bench: Bench) -> None:
    """A 409 for a request of many says nothing of the others."""

    class Picky(Site):
        def __init__(self) -> None:
            super().__init__()
            self.ids = {"inc-3-raised"}

        async def answer(self, seen: Any) -> Said:
            ids = {each["id"] for each in seen.document}
            if ids & self.ids:
                return Said(409)
            self.ids |= ids
            return Said(204)

    async with Picky() as site:
        uplink = await bench.uplink(site.url, mode="batch")
        outcomes = await uplink.send([incident(n) for n in range(8)])
        assert kinds(outcomes) == ["sent"] * 3 + ["duplicate"] + ["sent"] * 4
        assert site.ids == {f"inc-{n}-raised" for n in range(8)}
