"""Servers that die, freeze and come back: what was taken is known, what is not is sent again, nothing is there twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.contract import Event, NotConnected, OutcomeKind
from gateway.testkit.checks.watch import until
from gateway.testkit.rigs import event
from gateway.testkit.servers.nats import NatsServer

SENT, DUPLICATE, RETRY = (OutcomeKind[name] for name in ("SENT", "DUPLICATE", "RETRY"))
Make = Callable[..., Any]


def events(count: int, first: int = 1) -> list[Event]:
    return [event(number) for number in range(first, first + count)]


async def stored(server: NatsServer, count: int) -> None:
    """Wait until the stream holds that many."""
    client = await server.client()
    try:
        async with asyncio.timeout(10):
            while (await client.jetstream().stream_info("EVENTS")).state.messages < count:
                pass
    finally:
        await client.close()


@pytest.mark.parametrize("exactly_once", [False, True])
async def test_killed_between_publish_and_acknowledgement(server: NatsServer, make: Make, proxy: Any, exactly_once: bool) -> None:
    """The stream has them, the acknowledgements never came: unknown, and duplicates after the restart."""
    await server.create_stream()
    uplink = await make(proxy.url, timeout="20s", exactly_once=exactly_once)
    proxy.silence()
    sending = asyncio.create_task(uplink.send(events(20)))
    await stored(server, 20)
    await server.kill()
    outcomes = await asyncio.wait_for(sending, 5)
    assert {(outcome.kind, outcome.unknown) for outcome in outcomes} == {(RETRY, True)}
    await server.start()
    again = await make(server.url, exactly_once=exactly_once)
    assert {outcome.kind for outcome in await again.send(events(20))} == {DUPLICATE}
    assert await server.message_ids() == [e.id for e in events(20)]


async def test_what_was_not_yet_published_is_known_not_to_be_there(server: NatsServer, make: Make) -> None:
    await server.create_stream()
    uplink = await make(server.url, timeout="300ms", in_flight=10)
    server.freeze()
    outcomes = await uplink.send(events(30))
    assert [outcome.unknown for outcome in outcomes] == [True] * 10 + [False] * 20
    assert {outcome.kind for outcome in outcomes} == {RETRY}
    server.thaw()
    await stored(server, 10)


async def test_exactly_once_outlives_the_duplicate_window(server: NatsServer, make: Make) -> None:
    await server.create_stream(duplicate_window=0.1)
    uplink = await make(server.url, exactly_once=True)
    assert {outcome.kind for outcome in await uplink.send(events(5))} == {SENT}
    await _window_over(server)
    assert [outcome.kind for outcome in await uplink.send(events(7))] == [DUPLICATE] * 5 + [SENT] * 2
    assert sorted(await server.message_ids()) == [*(e.id for e in events(7)), "ev-marker", "ev-marker"]


async def test_without_it_an_event_behind_the_window_is_stored_twice(server: NatsServer, make: Make) -> None:
    """What the option is for."""
    await server.create_stream(duplicate_window=0.1)
    uplink = await make(server.url)
    await uplink.send(events(1))
    await _window_over(server)
    assert [outcome.kind for outcome in await uplink.send(events(1))] == [SENT]


async def _window_over(server: NatsServer) -> None:
    """Wait until the server has forgotten an id it was given after ours."""
    client = await server.client()
    try:
        async with asyncio.timeout(10):
            await client.jetstream().publish("evt.v1.marker", b"", headers={"Nats-Msg-Id": "ev-marker"})
            while (await client.jetstream().publish("evt.v1.marker", b"", headers={"Nats-Msg-Id": "ev-marker"})).duplicate:
                pass
    finally:
        await client.close()


async def test_exactly_once_writes_a_subject_of_its_own(server: NatsServer, make: Make) -> None:
    await server.create_stream()
    uplink = await make(server.url, exactly_once=True)
    await uplink.send(events(1))
    client = await server.client()
    message = await client.jetstream().get_msg("EVENTS", 1)
    await client.close()
    assert message.subject == "evt.v1.acme.test.area.line.cell.limit.raised.ev-00000001"
    assert message.headers["Nats-Msg-Id"] == "ev-00000001"


async def test_exactly_once_needs_a_stream_that_takes_ten_tokens(server: NatsServer, make: Make) -> None:
    await server.create_stream(subjects="evt.v1.*.*.*.*.*.*.*")
    await make(server.url)
    with pytest.raises(NotConnected, match=r"none of ours \(evt\.v1\.acme\.test\.\*\.\*\.\*\.\*\.\*\.\*\)"):
        await make(server.url, exactly_once=True)


async def test_frozen_server_is_noticed_within_fifteen_seconds_whatever_the_timeout(server: NatsServer, make: Make) -> None:
    await server.create_stream()
    uplink = await make(server.url, timeout="50s")
    await uplink.send(events(1))
    server.freeze()
    began = time.monotonic()
    outcomes = await uplink.send(events(400, first=2))
    assert time.monotonic() - began < 15.5
    assert {outcome.kind for outcome in outcomes} == {RETRY}
    assert "stale connection" in outcomes[0].reason
    with pytest.raises(NotConnected, match="connection lost: stale connection"):
        await uplink.send(events(1))
    server.thaw()


async def test_link_lost_while_idle_fails_the_next_send_at_once(server: NatsServer, make: Make) -> None:
    await server.create_stream()
    uplink = await make(server.url)
    await uplink.send(events(1))
    await server.kill()
    await until(lambda: uplink._link.lost, 5.0, lambda: "the client has not noticed")
    began = time.monotonic()
    with pytest.raises(NotConnected, match="connection lost: unexpected EOF"):
        await uplink.send(events(1))
    assert time.monotonic() - began < 0.1


async def test_frozen_server_full_of_unsent_data_does_not_hold_up_the_close(server: NatsServer, make: Make) -> None:
    await server.create_stream()
    uplink = await make(server.url, timeout="500ms", in_flight=200)
    server.freeze()
    await uplink.send([event(number, data=b'"' + b"x" * 100_000 + b'"') for number in range(1, 200)])
    began = time.monotonic()
    await uplink.close()
    assert time.monotonic() - began < 1.0
    server.thaw()
