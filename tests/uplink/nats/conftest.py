"""The real nats-server and uplinks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import nats
import pytest
from nats.aio.msg import Msg

from gateway import registry
from gateway.contract import Uplink
from gateway.testkit.contexts import uplink_context
from gateway.testkit.servers.nats import NatsServer

Make = Callable[..., Any]
Read = Callable[..., Any]


@pytest.fixture
async def server() -> AsyncIterator[NatsServer]:
    async with NatsServer() as running:
        yield running


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """``make(url, **options)``: a connected uplink, closed at the end."""
    made: list[Uplink] = []

    async def build(url: str, *, secrets: dict[str, str] | None = None, **options: Any) -> Uplink:
        plugin = registry.uplink("nats")
        given = {"nats": url, "stream": "EVENTS", "timeout": "1s"} | options
        uplink = plugin.build(plugin.options.model_validate(given), uplink_context(secrets=secrets))
        made.append(uplink)
        await uplink.connect()
        return uplink

    yield build
    for uplink in made:
        await uplink.close()


@pytest.fixture
def read() -> Read:
    """``read(server, count)``: messages of the stream by nats-py, as any consumer sees them."""

    async def messages(server: NatsServer, count: int) -> Sequence[Msg]:
        client = await nats.connect(server.url)
        try:
            subscription = await client.jetstream().pull_subscribe(">", stream="EVENTS")
            found: list[Msg] = []
            while len(found) < count:
                found += await subscription.fetch(count - len(found), timeout=5)
            return found
        finally:
            await client.close()

    return messages
