"""The examination walks to the first step that fails, and that step says what to change."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway import registry
from gateway.contract import Event, Step
from gateway.testkit.checks.watch import Left
from gateway.testkit.contexts import uplink_context
from gateway.testkit.rigs import event
from gateway.testkit.servers.nats import NatsServer
from gateway.testkit.servers.ports import free_port


async def walk(url: str, marked: Event | None = None, *, secrets: dict[str, str] | None = None, **options: Any) -> list[Step]:
    plugin = registry.uplink("nats")
    assert plugin.examine is not None
    given = plugin.options.model_validate({"nats": url, "stream": "EVENTS", "timeout": "3s"} | options)
    left = Left()
    found = [step async for step in plugin.examine(given, uplink_context(secrets=secrets), marked)]
    await left.nothing()
    assert all(step.said for step in found)
    assert all(step.remedy for step in found if not step.ok)
    return found


async def test_without_an_event_everything_is_tried_and_nothing_stored(server: NatsServer) -> None:
    await server.create_stream()
    found = await walk(server.url)
    assert [(step.name, step.ok) for step in found] == [("reach", True), ("login", True), ("stream", True), ("permission", True)]
    assert "nats-server 2" in found[0].said
    assert await server.message_ids() == []


@pytest.mark.parametrize("exactly_once", [False, True])
async def test_with_an_event_it_is_delivered(server: NatsServer, exactly_once: bool) -> None:
    await server.create_stream()
    for word in ("sent", "duplicate"):
        found = await walk(server.url, event(1), feedback=True, exactly_once=exactly_once)
        assert [step.name for step in found] == ["reach", "login", "stream", "permission", "delivery", "feedback"]
        assert all(step.ok for step in found)
        assert f"({word})" in found[4].said
    assert await server.message_ids() == ["ev-00000001"]


async def test_dead_server_fails_at_reach_and_one_of_two_does_not() -> None:
    (step,) = await walk(f"nats://127.0.0.1:{free_port()}")
    assert (step.name, step.ok) == ("reach", False)
    assert "connection refused" in step.said
    async with NatsServer() as server:
        await server.create_stream()
        found = await walk(f"nats://127.0.0.1:{free_port()},{server.url}")
        assert found[0].ok
        assert "connection refused" in found[0].said


async def test_frozen_server_fails_at_reach(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.uplink.nats.examine._REACH_SECONDS", 0.2)
    server.freeze()
    (step,) = await walk(server.url)
    server.thaw()
    assert "no answer within 0.2 s" in step.said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "set credentials, nkey, user and password, or token"),
        ({"user": "edge", "password": {"secret": "word"}}, r"does the server know this login \(user edge\)"),
        ({"ca": "CA"}, "give the server a tls block"),
    ],
)
async def test_login_that_fails_says_what_to_set(options: dict[str, Any], words: str, pki: Any) -> None:
    options = {name: pki.ca if value == "CA" else value for name, value in options.items()}
    async with NatsServer(extra='authorization { user: edge, password: "pw" }') as server:
        step = (await walk(server.url, secrets={"word": "wrong-one"}, **options))[-1]
    assert (step.name, step.ok) == ("login", False)
    assert re.search(words, step.remedy)
    assert "wrong-one" not in str(step)


async def test_stream_that_is_missing_fails_with_the_command(server: NatsServer) -> None:
    step = (await walk(server.url))[-1]
    assert (step.name, step.ok) == ("stream", False)
    assert "nats stream add EVENTS --subjects 'evt.v1.>' --storage file" in step.remedy


async def test_stream_with_a_risk_passes_and_says_it(server: NatsServer) -> None:
    await server.create_stream(duplicate_window=120)
    step = (await walk(server.url))[2]
    assert step.ok
    assert "--dupe-window 30m" in step.remedy


async def test_permission_that_is_missing_names_the_subjects() -> None:
    users = '{ user: edge, password: "pw", permissions: { publish: "$JS.API.STREAM.INFO.EVENTS" } }, { user: admin, password: "a" }'
    async with NatsServer(extra=f"authorization {{ users: [ {users} ] }}", login={"user": "admin", "password": "a"}) as server:
        await server.create_stream()
        step = (await walk(server.url, event(1), secrets={"word": "pw"}, user="edge", password={"secret": "word"}))[-1]
    assert (step.name, step.ok, step.remedy) == ("permission", False, 'allow publish on "evt.v1.acme.test.>"')


async def test_another_stream_that_takes_our_subjects_is_found_out() -> None:
    """Where the stream may not be asked about, the refused publish still tells."""
    users = '{ user: edge, password: "pw", permissions: { publish: "evt.>" } }, { user: admin, password: "a" }'
    async with NatsServer(extra=f"authorization {{ users: [ {users} ] }}", login={"user": "admin", "password": "a"}) as server:
        await server.create_stream("OTHER")
        step = (await walk(server.url, secrets={"word": "pw"}, user="edge", password={"secret": "word"}))[-1]
    assert (step.name, step.ok) == ("permission", False)
    assert "another stream than EVENTS" in step.said


async def test_full_stream_fails_at_the_delivery(server: NatsServer) -> None:
    await server.create_stream(max_msgs=1, discard="new")
    assert all(step.ok for step in await walk(server.url, event(1)))
    step = (await walk(server.url, event(2)))[-1]
    assert (step.name, step.ok) == ("delivery", False)
    assert "nats stream edit EVENTS" in step.remedy


async def test_feedback_that_cannot_come_is_told_last() -> None:
    users = '{ user: edge, password: "pw", permissions: { publish: ["evt.>", "$JS.API.STREAM.>"] } }, { user: admin, password: "a" }'
    async with NatsServer(extra=f"authorization {{ users: [ {users} ] }}", login={"user": "admin", "password": "a"}) as server:
        await server.create_stream()
        await server.create_stream("FB", "fb.v1.>")
        step = (await walk(server.url, secrets={"word": "pw"}, user="edge", password={"secret": "word"}, feedback=True))[-1]
    assert (step.name, step.ok) == ("feedback", False)
    assert "$JS.ACK.FB.lineside-test-gw.>" in step.remedy
