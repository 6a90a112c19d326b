"""What befalls one event, or the way to a receiver, is not laid at the door of another event; and no secret comes back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from typing import Any

import pytest

from gateway.contract import SecretRef
from gateway.testkit.posting import Bench, incident, kinds, sent
from gateway.testkit.servers.crm.site import Answer, Seen, Site, bearer
from gateway.uplink.https.masking import Masking

PER_ITEM = {"path": "$", "ok": "success == true", "code": "errors[0].statusCode", "message": "errors[0].message"}


class Records(Site):
    """Says for each record what came of it. `taken` are those that it holds."""

    def __init__(self, bad: Callable[[dict[str, Any]], bool]) -> None:
        super().__init__()
        self._bad = bad
        self.taken: list[dict[str, Any]] = []

    async def answer(self, seen: Seen) -> Answer:
        records = seen.document["records"]
        self.taken += [record for record in records if not self._bad(record)]
        refused = {"success": False, "errors": [{"statusCode": "STRING_TOO_LONG", "message": "too long"}]}
        return Answer(200, [refused if self._bad(record) else {"success": True, "errors": []} for record in records])


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    for uplink in bench.made:
        await uplink.close()


def body(**more: Any) -> dict[str, Any]:
    item = {"id": "{{ id }}", "incident": "{{ correlationid }}", "state": "{{ data.state }}", "note": "{{ data.note }}"}
    return {"form": "array-in", "path": "records", "item": item} | more


async def test_poison_before_good_neighbours_does_not_stop_the_next_request(bench: Bench) -> None:
    async with Records(lambda record: record["incident"] in ("inc-0", "inc-1", "inc-2")) as site:
        uplink = await bench.uplink(site.url, body=body(max_items=5), result={"per_item": PER_ITEM})
        assert kinds(await uplink.send([incident(n) for n in range(10)])) == ["park"] * 3 + ["sent"] * 7


async def test_everything_refused_for_one_reason_is_still_not_tried_to_the_end(bench: Bench) -> None:
    async with Records(lambda _record: True) as site:
        uplink = await bench.uplink(site.url, body=body(max_items=5), result={"per_item": PER_ITEM})
        outcomes = await uplink.send([incident(n) for n in range(20)])
        assert set(kinds(outcomes[5:])) == {"hold"}
        assert len(site.seen) == 1


async def test_merged_events_are_parked_for_their_own_fault_only(bench: Bench) -> None:
    async with Records(lambda record: record["state"] == "updated") as site:
        merging = body(key="{{ correlationid }}", coalesce=True)
        uplink = await bench.uplink(site.url, body=merging, result={"per_item": PER_ITEM})
        outcomes = await uplink.send([incident(1), incident(1, "updated"), incident(2), incident(1, "cleared")])
        assert kinds(outcomes) == ["sent"] * 4, "cleared wins over updated, so nothing is wrong with what they make together"
        outcomes = await uplink.send([incident(3), incident(3, "updated"), incident(4)])
        assert kinds(outcomes) == ["sent", "park", "sent"]
        assert outcomes[1].code == "STRING_TOO_LONG"
        assert [record["id"] for record in site.taken if record["incident"] == "inc-3"] == ["inc-3-raised"]


async def test_merged_events_that_are_too_large_together_go_alone(bench: Bench) -> None:
    # Each writes a field of its own, so that merging adds their lengths.
    item = {"incident": "{{ correlationid }}", "a": "{{ data.a }}", "b": "{{ data.b }}"}
    async with Records(lambda _record: False) as site:
        merging = {"form": "array-in", "path": "records", "item": item, "key": "{{ correlationid }}", "coalesce": True, "max_bytes": 1000}
        uplink = await bench.uplink(site.url, body=merging, result={"per_item": PER_ITEM})
        events = [incident(1, a="x" * 600), incident(1, "updated", b="y" * 600), incident(1, "cleared", b="z" * 2000)]
        assert kinds(await uplink.send(events)) == ["sent", "sent", "park"]
        assert [sorted(record) for record in site.taken] == [["a", "incident"], ["b", "incident"]]


async def test_events_are_not_unknown_while_the_login_hangs(bench: Bench) -> None:
    async with Site() as endpoint, Site() as site:
        endpoint.hang = True
        auth = {
            "kind": "oauth2_client_credentials",
            "token_url": f"{endpoint.url}/token",
            "client_id": "a",
            "client_secret": {"secret": "crm"},
        }
        uplink = await bench.uplink(site.url, mode="batch", auth=auth, timeout="300ms")
        outcomes = await uplink.send([incident(1), incident(2)])
        assert kinds(outcomes) == ["retry"] * 2
        assert not any(outcome.unknown for outcome in outcomes), "nothing went out, so another destination may have them"
        assert site.seen == []


async def test_events_are_not_unknown_while_no_connection_comes_about(bench: Bench) -> None:
    async with Site() as site:
        uplink = await bench.uplink(site.url.replace("localhost", "127.0.0.1"), mode="batch", timeout="300ms")
        port = site.port
    with closing(socket.socket()) as deaf, closing(socket.socket()) as first, closing(socket.socket()) as second:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deaf.bind(("127.0.0.1", port))
        deaf.listen(0)
        for waiting in (first, second):  # the backlog is full then, and whoever comes is not answered
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        outcomes = await uplink.send([incident(1)])
    assert kinds(outcomes) == ["retry"]
    assert not outcomes[0].unknown


@pytest.mark.parametrize("mode", ["structured", "batch"])
async def test_events_are_unknown_when_they_went_out_and_no_answer_came(bench: Bench, mode: str) -> None:
    async with Site() as site:
        site.hang = True
        uplink = await bench.uplink(site.url, mode=mode, timeout="300ms")
        (outcome,) = await uplink.send([incident(1)])
        assert (outcome.kind.value, outcome.unknown) == ("retry", True)


class Echo(Site):
    """Repeats what it was given, as many a receiver's error page does."""

    async def answer(self, seen: Seen) -> Answer:
        return Answer(422, {"error": {"message": " ".join(seen.headers.values())}})


@pytest.mark.parametrize(
    "auth",
    [
        {"kind": "bearer", "token": {"secret": "crm"}},
        {"kind": "basic", "username": "edge", "password": {"secret": "crm"}},
        {"kind": "header_key", "header": "api-key", "token": {"secret": "crm"}},
    ],
    ids=lambda auth: auth["kind"],
)
async def test_secret_that_is_repeated_is_in_no_reason(bench: Bench, auth: dict[str, Any]) -> None:
    bench.secrets["crm"] = "Tr0ub4dor"
    async with Echo() as site:
        uplink = await bench.uplink(site.url, auth=auth, result={"error": {"message": "error.message"}})
        (outcome,) = await uplink.send([incident(1)])
    assert outcome.kind.value == "park"
    assert "***" in outcome.reason
    assert not [form for form in ("Tr0ub4dor", "VHIwdWI0ZG9y", "ZWRnZTpUcjB1YjRkb3I=") if form in outcome.reason]


async def test_token_that_is_repeated_is_in_no_reason_and_the_same_one_may_be_given_again(bench: Bench) -> None:
    class Door(Echo):
        given = 0

        async def answer(self, seen: Seen) -> Answer:
            if seen.path != "/token":
                return await super().answer(seen) if self.given > 1 else Answer(401)
            self.given += 1
            return Answer(200, {"access_token": "00D-the-only-token", "expires_in": 3600})

    async with Door() as site:
        auth = {"kind": "oauth2_client_credentials", "token_url": "/token", "client_id": "a", "client_secret": {"secret": "crm"}}
        uplink = await bench.uplink(site.url, auth=auth)
        (outcome,) = await uplink.send([incident(1)])
        assert site.given == 2
        assert outcome.kind.value == "park"
        assert "00D-the-only-token" not in outcome.reason
        assert site.seen[-1].headers["authorization"] == "Bearer 00D-the-only-token"
        assert bearer("00D-the-only-token")(site.seen[-1])


@pytest.mark.parametrize("secret", ["success", "statusCode", "LOCKED_ROW", "inc-1-raised"])
async def test_answer_is_read_as_it_came_whatever_word_a_secret_is(bench: Bench, secret: str) -> None:
    bench.secrets["crm"] = secret
    results = [
        {"id": "inc-1-raised", "success": True},
        {"id": "inc-2-raised", "success": False, "errors": [{"statusCode": "LOCKED_ROW", "message": f"of {secret}"}]},
    ]
    async with Site() as site:
        site.script.append(Answer(200, results))
        read = {**PER_ITEM, "id": "id", "event": "{{ id }}"}
        uplink = await bench.uplink(
            site.url, token={"secret": "crm"}, body=body(), result={"per_item": read, "retryable_codes": ["LOCKED_ROW"]}
        )
        sent, busy = await uplink.send([incident(1), incident(2)])
    assert (sent.kind.value, busy.kind.value, busy.unknown) == ("sent", "retry", False)
    assert "of ***" in busy.reason
    assert secret not in busy.reason


@pytest.mark.parametrize("ahead", [150, 185, 199])
async def test_secret_that_is_cut_by_the_end_of_a_reason_is_in_it_neither_whole_nor_in_part(bench: Bench, ahead: int) -> None:
    bench.secrets["crm"] = "Tr0ub4dor" * 10
    for reply in ("x" * ahead + bench.secrets["crm"], {"error": {"message": "x" * ahead + bench.secrets["crm"]}}):
        async with Site() as site:
            site.script.append(Answer(422, reply.encode() if isinstance(reply, str) else reply))
            uplink = await bench.uplink(site.url, token={"secret": "crm"}, result={"error": {"message": "error.message"}})
            (outcome,) = await uplink.send([incident(1)])
        assert "x" * 100 in outcome.reason
        assert "Tr" not in outcome.reason


def test_secret_within_another_is_taken_out_with_it() -> None:
    masking = Masking(lambda ref: ref.secret)
    for secret in ("dresden", "dresden-press-01"):
        masking.hides(secret)
    assert masking.masked("at dresden-press-01") == "at ***"


def test_last_secrets_are_remembered_in_every_form_they_have_on_the_wire() -> None:
    masking = Masking(lambda ref: ref.secret)
    for number in range(210):
        masking.secret(SecretRef(secret=f"secret-{number:04d}"))
    assert masking.masked("secret-0209 secret-0000") == "*** secret-0000"
    masking.hides('a/b"c+d')
    assert masking.masked('form=a%2Fb%22c%2Bd twice=a%252Fb%2522c%252Bd json="a/b\\"c+d"') == 'form=*** twice=*** json="***"'
    assert masking.masked("short") == "short"


class Slow(Site):
    """Takes its time for each."""

    async def answer(self, seen: Seen) -> Answer:
        await asyncio.sleep(0.05)
        return Answer(202)


async def test_receiver_that_answers_one_after_the_other_is_not_hung(bench: Bench) -> None:
    """Events of one machine go one by one, so many of them take longer than one may. The rest counted as a failure each time: the
    destination was down while it took event after event, and one of them came twice.
    """
    async with Slow() as site:
        uplink = await bench.uplink(site.url, timeout="300ms")
        assert kinds(await uplink.send([incident(number) for number in range(12)])) == sent(12)
        assert len(site.seen) == 12
        outcomes = await uplink.send([incident(number) for number in range(40)])
    assert {outcome.kind.value for outcome in outcomes} == {"sent", "retry"}, "but not for ever: others wait for what became of these"
    assert 12 <= kinds(outcomes).count("sent") <= 18
