"""A leaf node without JetStream between the gateway and the hub that keeps the stream: two real servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway import registry
from gateway.contract import Event, NotConnected, OutcomeKind
from gateway.testkit.contexts import uplink_context
from gateway.testkit.rigs import event
from gateway.testkit.servers.nats import NatsServer
from gateway.testkit.servers.ports import free_port

SENT, DUPLICATE, RETRY = (OutcomeKind[name] for name in ("SENT", "DUPLICATE", "RETRY"))
Make = Callable[..., Any]
Pair = tuple[NatsServer, NatsServer]


def events(count: int, first: int = 1) -> list[Event]:
    return [event(number) for number in range(first, first + count)]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """Hub (domain ``hub``) and leaf, linked, with the stream on the hub."""
    port = free_port()
    hub = NatsServer(name="hub", jetstream="domain: hub", extra=f'leafnodes {{ listen: "127.0.0.1:{port}" }}')
    remote = f'leafnodes {{ reconnect: 1, remotes: [ {{ url: "nats-leaf://127.0.0.1:{port}" }} ] }}'
    leaf = NatsServer(name="leaf", jetstream=None, extra=remote)
    async with hub, leaf:
        await hub.create_stream()
        await linked(leaf)
        yield hub, leaf


async def linked(leaf: NatsServer) -> None:
    """Wait until the hub's JetStream answers through the leaf."""
    from nats.errors import NoRespondersError
    from nats.errors import TimeoutError as NoAnswer

    client = await leaf.client()
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    await client.request("$JS.hub.API.INFO", timeout=1)
                except (NoRespondersError, NoAnswer):
                    continue
                return
    finally:
        await client.close()


@pytest.mark.parametrize("options", [{}, {"domain": "hub"}, {"domain": "hub", "exactly_once": True}], ids=str)
async def test_events_reach_the_hub_through_a_leaf(pair: Pair, make: Make, options: dict[str, Any]) -> None:
    hub, leaf = pair
    uplink = await make(leaf.url, **options)
    assert {outcome.kind for outcome in await uplink.send(events(300))} == {SENT}
    assert {outcome.kind for outcome in await uplink.send(events(3))} == {DUPLICATE}
    assert await hub.message_ids() == [e.id for e in events(300)]


async def test_stream_is_created_on_the_hub_through_a_leaf(pair: Pair, make: Make) -> None:
    hub, leaf = pair
    await make(leaf.url, domain="hub", stream="MORE", subject_prefix="more", create_stream=True)
    client = await hub.client()
    assert (await client.jetstream().stream_info("MORE")).config.subjects == ["more.>"]
    await client.close()


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_hub_that_is_gone_behind_a_living_leaf_is_noticed_and_nothing_is_lost(pair: Pair, make: Make, how: str) -> None:
    """Killed: nobody answers. Frozen: no acknowledgement. Both while the connection to the leaf is up."""
    hub, leaf = pair
    uplink = await make(leaf.url, domain="hub", timeout="1s")
    waiting = {e.id: e for e in events(200)}
    for sent, outcome in zip(events(100), await uplink.send(events(100)), strict=True):
        assert outcome.kind is SENT
        del waiting[sent.id]
    await hub.kill() if how == "kill" else hub.freeze()
    outcomes = await uplink.send([*waiting.values()])
    assert {outcome.kind for outcome in outcomes} == {RETRY}
    await (hub.start() if how == "kill" else _thawed(hub))
    await linked(leaf)
    await uplink.close()
    uplink = await make(leaf.url, domain="hub", timeout="5s")
    assert {outcome.kind for outcome in await uplink.send([*waiting.values()])} <= {SENT, DUPLICATE}
    assert sorted(await hub.message_ids()) == [e.id for e in events(200)]


async def _thawed(hub: NatsServer) -> None:
    hub.thaw()


async def test_verdicts_come_from_the_hub_through_a_leaf(pair: Pair) -> None:
    hub, leaf = pair
    await hub.create_stream("FB", "fb.v1.>")
    client = await hub.client()
    told = {"id": "v1", "incident": "inc-1", "verdict": "maintenance", "at": "2027-01-15T08:00:00Z"}
    await client.publish("fb.v1.test.test-gw", json.dumps(told).encode())
    plugin = registry.uplink("nats")
    options = {"nats": leaf.url, "stream": "EVENTS", "domain": "hub", "feedback": True}
    feedback = plugin.feedback(plugin.options.model_validate(options), uplink_context())
    assert feedback is not None
    await feedback.connect()
    assert [found.id for found in await asyncio.wait_for(feedback.read(), 5)] == ["v1"]
    reading = asyncio.create_task(feedback.read())
    async with asyncio.timeout(5):
        while (await client.jetstream().consumer_info("FB", "lineside-test-gw")).num_ack_pending:
            pass
    reading.cancel()
    await feedback.close()
    await client.close()


async def test_hub_that_is_gone_is_explained_at_connect(pair: Pair, make: Make) -> None:
    hub, leaf = pair
    await hub.kill()
    with pytest.raises(NotConnected, match=r"JetStream does not answer.*is its link up"):
        await make(leaf.url, domain="hub")
    with pytest.raises(NotConnected, match=r"JetStream does not answer.*is the link up"):
        await make(leaf.url)
