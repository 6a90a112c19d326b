"""A user that may do little: what it may not is told with the subject and what to allow, never a timeout for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.contract import NotConnected, OutcomeKind
from gateway.testkit.rigs import event
from gateway.testkit.servers.nats import NatsServer

Make = Callable[..., Any]
LOGIN = {"user": "edge", "password": {"secret": "word"}}


def authorization(publish: str, subscribe: str) -> str:
    users = f"""{{ user: admin, password: "a" }},
      {{ user: edge, password: "pw", permissions: {{ publish: {publish}, subscribe: {subscribe} }} }}"""
    return f"authorization {{ users: [ {users} ] }}"


@pytest.fixture
async def run() -> AsyncIterator[Callable[..., Any]]:
    """``run(publish, subscribe)``: a server with a stream, and a user ``edge`` that may no more than that."""
    running: list[NatsServer] = []

    async def start(publish: str, subscribe: str) -> NatsServer:
        server = NatsServer(extra=authorization(publish, subscribe), login={"user": "admin", "password": "a"})
        running.append(server)
        await server.start()
        await server.create_stream()
        return server

    yield start
    for server in running:
        await server.kill()


async def test_inbox_of_its_own_is_all_a_user_needs_to_hear(make: Make, run: Any) -> None:
    server = await run('["evt.v1.acme.test.>", "$JS.API.STREAM.INFO.EVENTS"]', '"_INBOX_gw.>"')
    uplink = await make(server.url, secrets={"word": "pw"}, inbox_prefix="_INBOX_gw", **LOGIN)
    assert [outcome.kind for outcome in await uplink.send([event(1), event(2)])] == [OutcomeKind.SENT] * 2


async def test_inbox_that_is_not_allowed_is_told_at_connect(make: Make, run: Any) -> None:
    server = await run('">"', '"_INBOX_gw.>"')
    with pytest.raises(NotConnected, match=r'may not subscribe to its inbox; allow subscribe on "_INBOX\.>", or set inbox_prefix'):
        await make(server.url, secrets={"word": "pw"}, **LOGIN)


async def test_subject_that_is_not_allowed_holds_at_once_and_is_named(make: Make, run: Any) -> None:
    server = await run('["evt.v1.acme.dresden.>", "$JS.API.STREAM.INFO.EVENTS"]', '"_INBOX.>"')
    uplink = await make(server.url, secrets={"word": "pw"}, timeout="30s", **LOGIN)
    async with asyncio.timeout(5):
        outcomes = await uplink.send([event(number) for number in range(1, 150)])
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.HOLD}
    subject, allow = "evt.v1.acme.test.area.line.cell.limit.raised", '"evt.v1.acme.test.>"'
    assert {outcome.reason for outcome in outcomes} == {f"the user may not publish to {subject}; allow publish on {allow}"}


async def test_subject_that_is_not_allowed_stays_alone(make: Make, run: Any) -> None:
    server = await run('{ allow: ["EVT.v1.>", "$JS.API.STREAM.INFO.EVENTS"], deny: "EVT.v1.*.*.*.*.*.*.cleared" }', '"_INBOX.>"')
    client = await server.client()
    await client.jetstream().update_stream(name="EVENTS", subjects=["EVT.v1.>"])
    await client.close()
    uplink = await make(server.url, secrets={"word": "pw"}, subject_prefix="EVT.v1", **LOGIN)
    cleared = replace(event(2), type="io.lineside.limit.cleared.v1")
    outcomes = await uplink.send([event(1), cleared, event(3)])
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.SENT, OutcomeKind.HOLD, OutcomeKind.SENT]
    assert "EVT.v1.acme.test.area.line.cell.limit.cleared" in outcomes[1].reason


async def test_stream_that_may_not_be_asked_about_is_delivered_to_unchecked(make: Make, run: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = await run('"evt.v1.acme.test.>"', '"_INBOX.>"')
    with caplog.at_level(logging.WARNING, "lineside"):
        async with asyncio.timeout(5):
            uplink = await make(server.url, secrets={"word": "pw"}, timeout="30s", **LOGIN)
    assert [outcome.kind for outcome in await uplink.send([event(1)])] == [OutcomeKind.SENT]
    (fields,) = (getattr(record, "fields", {}) for record in caplog.records if record.name == "lineside")
    assert fields["remedy"] == 'allow publish on "$JS.API.STREAM.INFO.EVENTS"'


async def test_permissions_in_a_jwt_are_told_the_same_way(make: Make, operator: Any) -> None:
    async with NatsServer(extra=operator.config) as server:
        secrets = {"all": operator.credentials(), "few": operator.credentials(pub={"allow": ["evt.v1.acme.berlin.>"]})}
        await make(server.url, secrets=secrets, create_stream=True, credentials={"secret": "all"})
        uplink = await make(server.url, secrets=secrets, credentials={"secret": "few"})
        (outcome,) = await uplink.send([event(1)])
        assert outcome.kind is OutcomeKind.HOLD
        assert 'allow publish on "evt.v1.acme.test.>"' in outcome.reason
