"""What goes below the library's public API, pinned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import nats
import pytest

from gateway.testkit.checks.watch import until
from gateway.testkit.servers.nats import NatsServer
from gateway.uplink.nats.wire import Wire, abort, hpub, send_raw


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


async def test_reply_goes_to_its_ticket_however_the_bytes_are_cut(server: NatsServer) -> None:
    """The front of each piece that was read is taken by our own parser; the library's sees the rest."""
    told: list[tuple[int, bytes, bytes | None]] = []
    wire = Wire(lambda *reply: told.append(reply), lambda: None, encrypted=False)
    await wire.connect(server.url)
    try:
        await wire.listen("_INBOX.x")
        sid = wire._reply_sid
        elsewhere = await wire.subscribe("elsewhere")
        stream = b"MSG _INBOX.x.7 %d 2\r\n{}\r\nMSG _INBOX.x.8 %d 4\r\na\r\nb\r\nPING\r\n" % (sid, sid)
        stream += b"MSG elsewhere %d 3\r\none\r\nMSG _INBOX.x.nine %d 0\r\n\r\n" % (elsewhere._id, sid)
        stream += b"HMSG _INBOX.x.10 %d 16 18\r\nNATS/1.0 503\r\n\r\nhi\r\nMSG _INBOX.x.11 %d 0\r\n\r\n+OK\r\n" % (sid, sid)
        for size in (1, 2, 3, 7, 20, 50, len(stream)):
            told.clear()
            for start in range(0, len(stream), size):
                await wire._ps.parse(stream[start : start + size])
            assert told == [(7, b"{}", None), (8, b"a\r\nb", None), (10, b"hi", b"NATS/1.0 503\r\n\r\n"), (11, b"", None)]
            assert (await elsewhere.next_msg(timeout=1)).data == b"one"
            assert not wire._ps.buf
    finally:
        await wire.close()


async def test_real_replies_with_and_without_headers_come_to_the_function(server: NatsServer) -> None:
    told: list[tuple[int, bytes, bytes | None]] = []
    wire = Wire(lambda *reply: told.append(reply), lambda: None, encrypted=False)
    await wire.connect(server.url)
    try:
        await wire.listen("_INBOX.x")
        await send_raw(wire, [hpub("$JS.API.INFO", "_INBOX.x.1", b"NATS/1.0\r\n\r\n", b"")])
        await send_raw(wire, [hpub("nobody.here", "_INBOX.x.2", b"NATS/1.0\r\n\r\n", b"")])
        await until(lambda: len(told) == 2, 5.0, lambda: f"{told}")
    finally:
        await wire.close()
    found = {ticket: (payload, header) for ticket, payload, header in told}
    assert b"account_info_response" in found[1][0]
    assert found[1][1] is None
    assert found[2][0] == b""
    assert (found[2][1] or b"").startswith(b"NATS/1.0 503\r\n")


@pytest.mark.parametrize("how", ["killed", "frozen", "closed"])
async def test_loss_is_told_once(server: NatsServer, how: str) -> None:
    lost: list[bool] = []
    wire = Wire(lambda *_: None, lambda: lost.append(wire.is_connected), encrypted=False)
    await wire.connect(server.url, allow_reconnect=False, pending_size=-1, ping_interval=0.05, max_outstanding_pings=2)
    if how == "killed":
        await server.kill()
    elif how == "frozen":
        server.freeze()
        await send_raw(wire, [hpub("a", "b", b"NATS/1.0\r\n\r\n", bytes(500_000))] * 40)
    else:
        await wire.close()
    await until(lambda: bool(lost), 5.0, lambda: "nobody was told")
    server.thaw()
    await wire.close()
    assert len(lost) == 1


async def test_what_was_sent_before_is_dealt_with_when_it_was_heard(server: NatsServer) -> None:
    """The library's own flush overtakes a subscription that is still in its buffer."""
    wire = Wire(lambda *_: None, lambda: None, encrypted=False)
    await wire.connect(server.url)
    other = await nats.connect(server.url)
    try:
        for number in range(50):
            subscription = await wire.subscribe(f"a.{number}")
            await wire.heard()
            await other.publish(f"a.{number}", b"x")
            assert (await subscription.next_msg(timeout=5)).data == b"x"
    finally:
        await other.close()
        await wire.close()


async def test_waiting_to_be_heard_ends_with_the_connection(server: NatsServer) -> None:
    wire = Wire(lambda *_: None, lambda: None, encrypted=False)
    await wire.connect(server.url, allow_reconnect=False, error_cb=_nothing)
    server.freeze()
    waiting = asyncio.create_task(wire.heard())
    await asyncio.sleep(0)
    await server.kill()
    with pytest.raises(nats.errors.ConnectionClosedError):
        await asyncio.wait_for(waiting, 5)
    await wire.close()


async def test_password_is_not_sent_in_clear_where_encryption_is_wanted(server: NatsServer) -> None:
    wire = Wire(lambda *_: None, lambda: None, encrypted=True)
    with pytest.raises(nats.errors.Error, match="offers no TLS"):
        await wire.connect(server.url, allow_reconnect=False, max_reconnect_attempts=1, error_cb=_nothing)
    abort(wire)


async def _nothing(_exc: Exception) -> None:
    return None


@pytest.mark.parametrize("make_client", [nats.aio.client.Client])
def test_abort_before_connect_is_nothing(make_client: Callable[[], Any]) -> None:
    abort(make_client())
