"""The programs in docs/examples, run as they stand, against what the gateway really sends."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from gateway import registry
from gateway.contract import Event, Machine, OutcomeKind, Severity
from gateway.events import codec
from gateway.events.build import EventBuilder, rfc3339
from gateway.testkit.contexts import uplink_context
from gateway.testkit.servers.nats import NatsServer
from gateway.uplink.nats.verdicts import verdict

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
SOURCE = "urn:lineside:acme:dresden:dresden-press-01"
AUTH = {"kind": "standard_webhooks", "secrets": [{"secret": "old"}, {"secret": "new"}]}
BUILDER = EventBuilder(SOURCE)
INCIDENT = BUILDER.incident_id("pump-3", "hot", 1)


def event(number: int, state: str = "raised", *, sequence: int | None = None, machine: str = "pump-3") -> Event:
    told = {
        "incident": INCIDENT,
        "state": state,
        "machine": machine,
        "condition": "hot",
        "title": f'{machine}: Öl 50 % "zu heiß", event {number}',
        "severity": "error",
        "detector": "limit-1",
        "since": rfc3339(1),
        "raised": rfc3339(2),
        "occurrences": 1,
        "tags": ["oil"],
    }
    built = BUILDER.of_incident(
        incident=INCIDENT,
        number=number,
        domain="limit",
        machine=Machine(name=machine, path="Presse Süd/50 %"),
        severity=Severity.ERROR,
        time_ns=2,
        now_ns=3,
        data=told,
    )
    return replace(built, sequence=sequence or number)


def replaced_outbox(sequence: int) -> Event:
    return replace(BUILDER.of_replaced_outbox("outbox.db.damaged-1", "malformed", now_ns=9), sequence=sequence)


class Program:
    """A running example and what it prints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        assert line, (await self._process.stderr.read()).decode() if self._process.stderr else "it ended"
        found: dict[str, Any] = json.loads(line)
        return found

    async def lines(self, count: int) -> list[dict[str, Any]]:
        return [await self.line() for _ in range(count)]

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


Run = Callable[..., Awaitable[Program]]


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    started: list[Program] = []

    async def start(name: str, *arguments: str) -> Program:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLES / name),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"LINESIDE_WEBHOOK_SECRET": SECRET, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        started.append(Program(process))
        return started[-1]

    yield start
    for program in started:
        await program.kill()


def signed(body: bytes, id_: str, *, key: bytes = KEY, at: float | None = None) -> dict[str, str]:
    """As integrators.md says it is done, without a library."""
    when = str(int(time.time() if at is None else at))
    mac = hmac.new(key, f"{id_}.{when}.".encode() + body, hashlib.sha256).digest()
    return {"webhook-id": id_, "webhook-timestamp": when, "webhook-signature": "v1,AAAA v1," + base64.b64encode(mac).decode()}


async def post(address: str, body: bytes, headers: dict[str, str]) -> int:
    async with aiohttp.request("POST", address, data=body, headers=headers) as reply:
        return reply.status


async def posted(address: str, *events: Event) -> int:
    body, type_ = (codec.batch(events), codec.BATCH) if len(events) > 1 else (codec.structured(events[0]), codec.STRUCTURED)
    return await post(address, body, signed(body, events[0].id) | {"Content-Type": type_})


async def test_a_receiver_takes_every_form_once(run: Run, tmp_path: Path) -> None:
    receiver = await run("receiver.py", "0", str(tmp_path / "cases.db"))
    address = (await receiver.line())["address"]
    first, second, third = event(1), event(2, "updated"), event(3, "cleared")
    assert await posted(address, first) == 204
    assert await posted(address, first, second) == 204
    body = third.data
    assert await post(address, body, signed(body, third.id) | codec.http_headers(third)) == 204
    lines = await receiver.lines(4)
    assert [(line["what"], line["id"]) for line in lines] == [
        ("applied", first.id),
        ("duplicate", first.id),
        ("applied", second.id),
        ("applied", third.id),
    ]
    for line, sent in zip([lines[0], lines[2], lines[3]], (first, second, third), strict=True):
        assert line["data"] == json.loads(sent.data)
        assert (line["type"], line["subject"], line["correlationid"]) == (sent.type, sent.subject, INCIDENT)
        assert line["sequence"] == f"{sent.sequence:020d}"


@pytest.mark.parametrize("mode", ["structured", "batch", "binary"])
async def test_what_the_gateway_signs_is_taken(run: Run, tmp_path: Path, mode: str) -> None:
    receiver = await run("receiver.py", "0", str(tmp_path / "cases.db"))
    address = (await receiver.line())["address"]
    plugin = registry.uplink("https")
    given = {"https": address, "preset": "cloudevents", "mode": mode, "auth": AUTH}
    old = "whsec_" + base64.b64encode(b"z" * 32).decode()
    uplink = plugin.build(plugin.options.model_validate(given), uplink_context(secrets={"old": old, "new": SECRET}))
    await uplink.connect()
    try:
        sent = [event(1), event(2, "updated")]
        outcomes = await uplink.send(sent)
        assert [outcome.kind for outcome in outcomes] == [OutcomeKind.SENT] * 2
        lines = await receiver.lines(2)
        assert [(line["what"], line["id"], line["subject"]) for line in lines] == [("applied", one.id, one.subject) for one in sent]
    finally:
        await uplink.close()


async def test_a_receiver_forgets_nothing_when_it_is_killed(run: Run, tmp_path: Path) -> None:
    for expected in ("applied", "duplicate"):
        receiver = await run("receiver.py", "0", str(tmp_path / "cases.db"))
        address = (await receiver.line())["address"]
        assert await posted(address, event(1)) == 204
        assert (await receiver.line())["what"] == expected
        await receiver.kill()


async def test_old_news_is_known_and_a_gateway_that_counts_anew_is_believed(run: Run, tmp_path: Path) -> None:
    receiver = await run("receiver.py", "0", str(tmp_path / "cases.db"))
    address = (await receiver.line())["address"]
    late, newer = event(2, "updated", sequence=70), event(3, "cleared", sequence=71)
    anew, after = replaced_outbox(1), event(4, "updated", sequence=2)
    for each in (newer, late, anew, after):
        assert await posted(address, each) == 204
    assert [line["what"] for line in await receiver.lines(4)] == ["applied", "old", "applied", "applied"]


async def test_a_receiver_refuses_what_is_not_signed_by_us(run: Run, tmp_path: Path) -> None:
    receiver = await run("receiver.py", "0", str(tmp_path / "cases.db"))
    address = (await receiver.line())["address"]
    body = codec.structured(event(1))
    wrong: dict[str, dict[str, str]] = {
        "key": signed(body, "m1", key=b"x" * 32),
        "body": signed(body + b" ", "m1"),
        "old": signed(body, "m1", at=time.time() - 400),
        "early": signed(body, "m1", at=time.time() + 400),
        "missing": {},
        "nonsense": signed(body, "m1") | {"webhook-signature": "nonsense"},
        "other id": signed(body, "m1") | {"webhook-id": "m2"},
    }
    for name, headers in wrong.items():
        assert await post(address, body, headers | {"Content-Type": codec.STRUCTURED}) == 401, name
    assert await posted(address, event(1)) == 204
    assert (await receiver.line())["what"] == "applied"


async def test_a_receiver_refuses_what_is_no_event(run: Run, tmp_path: Path) -> None:
    receiver = await run("receiver.py", "0", str(tmp_path / "cases.db"))
    address = (await receiver.line())["address"]
    for body in (b"{", b"[1]", b'"text"', b"{}", b"null", b"\xff"):
        for type_ in (codec.STRUCTURED, codec.BATCH, codec.JSON):
            refused = await post(address, body, signed(body, "m1") | {"Content-Type": type_})
            assert refused in {400, 401}, (body, type_)
    assert await posted(address, event(1)) == 204


async def test_a_consumer_takes_each_event_once_and_goes_on_where_it_was(run: Run, tmp_path: Path) -> None:
    async with NatsServer() as server:
        await server.create_stream("EVENTS", "evt.v1.>")
        client = await server.client()
        sent = [event(1), event(2, "updated"), event(3, "cleared")]

        async def publish(one: Event, id_: str = "") -> None:
            # Under another message id the stream keeps it twice, as it does outside its window for duplicates.
            headers = codec.nats_headers(one) | ({"Nats-Msg-Id": id_} if id_ else {})
            await client.jetstream().publish(codec.nats_subject(one), one.data, headers=headers)

        await publish(sent[0])
        await client.jetstream().publish("evt.v1.acme.dresden._._._.limit.raised", b"no event")
        await publish(sent[0], "again")
        arguments = (server.url, "EVENTS", "crm", str(tmp_path / "cases.db"))
        consumer = await run("consumer.py", *arguments)
        lines = await consumer.lines(4)
        assert [line["what"] for line in lines] == ["consumes", "applied", "refused", "duplicate"]
        assert lines[1]["data"] == json.loads(sent[0].data)
        assert lines[1]["subject"] == sent[0].subject == "Presse Süd/50 %/_/pump-3/oil"
        await consumer.kill()
        for one in sent[1:]:
            await publish(one)
        again = await run("consumer.py", *arguments, "evt.v1.>")
        lines = [line for line in await again.lines(3) if line.get("id") != sent[0].id]
        assert [(line["what"], line.get("id")) for line in lines[1:]] == [("applied", one.id) for one in sent[1:]]
        await client.close()


async def test_a_verdict_is_one_the_gateway_understands(run: Run) -> None:
    async with NatsServer(jetstream=None) as server:
        client = await server.client()
        subscription = await client.subscribe("fb.v1.dresden.dresden-press-01")
        await client.flush()
        program = await run("verdict.py", server.url, "dresden", "dresden-press-01", "v-1", INCIDENT, "false_alarm")
        heard = verdict((await subscription.next_msg(timeout=20)).data)
        assert (heard.id, heard.incident, heard.judgement.value, heard.by) == ("v-1", INCIDENT, "false_alarm", "service desk")
        assert (await program.line())["what"] == "sent"
        await client.close()
