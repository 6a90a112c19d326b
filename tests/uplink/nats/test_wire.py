"""What goes below the library's public API, pinned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nats
import pytest

from gateway.testkit.checks.watch import until
from gateway.testkit.servers.nats import NatsServer
from gateway.uplink.nats.wire import abort, hpub, send_raw


async def test_raw_commands_arrive_as_published_messages(server: NatsServer) -> None:
    client = await nats.connect(server.url)
    try:
        subscription = await client.subscribe("a.>")
        await client.flush()
        header = b"NATS/1.0\r\nNats-Msg-Id: 7\r\n\r\n"
        await send_raw(client, [hpub("a.b", "c", header, b"one"), hpub("a.c", "c", header, b"")])
        first, second = await subscription.next_msg(timeout=5), await subscription.next_msg(timeout=5)
    finally:
        await client.close()
    assert (first.subject, first.reply, first.headers, first.data) == ("a.b", "c", {"Nats-Msg-Id": "7"}, b"one")
    assert (second.subject, second.data) == ("a.c", b"")


async def test_nothing_to_send_writes_nothing(server: NatsServer) -> None:
    client = await nats.connect(server.url)
    try:
        before = client.pending_data_size
        await send_raw(client, [])
        assert client.pending_data_size == before
    finally:
        await client.close()


async def test_abort_closes_a_socket_that_cannot_be_flushed(server: NatsServer) -> None:
    client = await nats.connect(server.url, allow_reconnect=False, pending_size=-1)
    transport: Any = client._transport
    server.freeze()
    try:
        await send_raw(client, [hpub("a", "b", b"NATS/1.0\r\n\r\n", bytes(500_000))] * 40)
        abort(client)
        await until(lambda: transport._io_writer.transport._sock is None, 5.0, lambda: "the socket is still open")
    finally:
        server.thaw()
        await client.close()


@pytest.mark.parametrize("make_client", [nats.aio.client.Client])
def test_abort_before_connect_is_nothing(make_client: Callable[[], Any]) -> None:
    abort(make_client())
