"""Every way not to be connected, in the peer's words and in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from drivers.broker import link as link_module
from drivers.broker.link import UNREAD_BYTES, Link
from gateway.contract import ConfigError, NotConnected, Quality, Source
from gateway.testkit.servers.mqtt import Mosquitto, NatsMqtt, Publisher, require_mosquitto
from gateway.testkit.servers.ports import free_port

TAGS = {"t": {"topic": "p/t"}}


@pytest.fixture
async def secure() -> AsyncIterator[Mosquitto]:
    require_mosquitto()
    async with Mosquitto(tls=True, password="s3cret", extra="require_certificate true") as server:
        yield server


@asynccontextmanager
async def peer(answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> AsyncIterator[str]:
    """Something that is no broker."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1000)
            await answer(reader, writer)
            await reader.read(1000)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def refusal(source: Source) -> str:
    started = time.monotonic()
    with pytest.raises(NotConnected) as caught:
        await source.connect()
    assert time.monotonic() - started < 10
    await source.close()
    assert caught.value.login == ("Not authorized" in caught.value.why), "a refused login is not tried again at once"
    return caught.value.why


async def read_until_lost(source: Source, within: float) -> str:
    async def for_ever() -> None:
        while True:
            await source.read()

    with pytest.raises(NotConnected) as caught:
        await asyncio.wait_for(for_ever(), within)
    return caught.value.why


async def test_connection_refused(make: Any) -> None:
    assert await refusal(make(f"mqtt://127.0.0.1:{free_port()}", TAGS)) == "connection refused"
    assert await refusal(make(f"mqtt://localhost:{free_port()}", TAGS)) == "connection refused"


async def test_name_that_is_not_known(make: Any) -> None:
    assert "ame" in await refusal(make("mqtt://broker.invalid", TAGS))


async def test_peer_that_answers_nothing(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.broker.broker.CONNECT_SECONDS", 0.3)

    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        return

    async with peer(nothing) as url:
        assert await refusal(make(url, TAGS)) == "no answer within 0.3 s"


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_wrong_password(secure: Mosquitto, make: Any, version: str) -> None:
    given = {"ca": secure.ca, "certificate": secure.client_certificate, "user": "edge", "version": version}
    assert await refusal(make(secure.url, TAGS, **given, password={"secret": "bad"})) == "refused: Not authorized (as user 'edge')"
    await make(secure.url, TAGS, **given, password={"secret": "good"}).connect()


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_no_user_where_the_broker_asks_for_one(make: Any, version: str) -> None:
    require_mosquitto()
    async with Mosquitto(password="s3cret") as server:
        assert await refusal(make(server.url, TAGS, version=version)) == "refused: Not authorized (without a user)"


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_values_come_over_tls(make: Any, read: Any, version: str) -> None:
    require_mosquitto()
    async with Mosquitto(tls=True, password="s3cret") as server:
        given = {"ca": server.ca, "user": "edge", "password": {"secret": "good"}}
        source = make(server.url, TAGS, **given, version=version)
        await source.connect()
        async with Publisher(server.url, user="edge", password="s3cret", ca=server.ca) as publisher:
            await publisher.publish("p/t", b"5", qos=1)
        (batch,) = await read(source)
        assert batch.value.tolist() == [5.0]


async def test_another_client_with_our_id_throws_us_out(broker: Mosquitto, make: Any) -> None:
    source, other = make(broker.url, TAGS), make(broker.url, TAGS)
    await source.connect()
    await other.connect()
    assert "closed by the broker" in await read_until_lost(source, 5)


async def test_broker_that_says_why_it_closes(make: Any) -> None:
    require_mosquitto()
    async with Mosquitto(extra="max_packet_size 80") as server:
        assert await refusal(make(server.url, {"t": {"topic": "x" * 200}})) == "closed by the broker: Packet too large"


async def test_unknown_authority(secure: Mosquitto, make: Any) -> None:
    assert "its certificate is not accepted" in await refusal(make(secure.url, TAGS))


async def test_wrong_host(make: Any) -> None:
    require_mosquitto()
    async with Mosquitto(tls=True, hosts=["other.example"]) as server:
        assert "its certificate is not accepted: Hostname mismatch" in await refusal(make(server.url, TAGS, ca=server.ca))


async def test_no_certificate_where_the_broker_asks_for_one(secure: Mosquitto, make: Any) -> None:
    why = await refusal(make(secure.url, TAGS, ca=secure.ca, user="edge", password={"secret": "good"}))
    assert "certificate required" in why or "closed" in why or "reset" in why  # what is said last may be lost with the connection


async def test_expired_certificate_of_the_broker(make: Any) -> None:
    require_mosquitto()
    async with Mosquitto(tls=True, expired=True) as server:
        assert await refusal(make(server.url, TAGS, ca=server.ca)) == "its certificate is not accepted: certificate has expired"


async def test_expired_certificate_of_ours(secure: Mosquitto, make: Any) -> None:
    given = {"ca": secure.ca, "certificate": secure.expired_certificate, "user": "edge", "password": {"secret": "good"}}
    why = await refusal(make(secure.url, TAGS, **given))
    assert "expired" in why or "closed" in why or "reset" in why  # what is said last may be lost with the connection


async def test_certificate_of_another_authority(secure: Mosquitto, make: Any) -> None:
    stranger = Mosquitto(tls=True)
    given = {"ca": secure.ca, "certificate": stranger.client_certificate, "user": "edge", "password": {"secret": "good"}}
    why = await refusal(make(secure.url, TAGS, **given))
    assert "unknown ca" in why or "closed" in why or "reset" in why
    assert "its certificate is not accepted" in await refusal(make(secure.url, TAGS, **given | {"ca": stranger.ca}))


async def test_tls_to_a_broker_without(broker: Mosquitto, make: Any) -> None:
    why = await refusal(make(broker.url.replace("mqtt:", "mqtts:"), TAGS))
    assert "TLS" in why or "eset" in why or "closed" in why


async def test_authority_that_is_no_file_is_an_error_of_the_configuration(make: Any, tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        await make("mqtts://127.0.0.1", TAGS, ca=tmp_path / "none.pem").connect()


async def test_version_the_broker_does_not_speak_and_a_subscription_it_refuses(make: Any, read: Any) -> None:
    rights = '{ user: edge, password: s3cret, permissions: { subscribe: { deny: ["no.>"], allow: [">"] } } }'
    tags = {"denied": {"topic": "no/1"}, "granted": {"topic": "yes/1"}}
    given = {"user": "edge", "password": {"secret": "good"}}
    async with NatsMqtt(rights=f"authorization {{ users: [ {rights} ] }}") as server:
        assert await refusal(make(server.url, tags, **given, version="5")) == "refused: Unsupported protocol version"
        source = make(server.url, tags, **given)
        await source.connect()
        (batch,) = await read(source)
        assert (batch.tag.tolist(), batch.quality.tolist()) == ([0], [Quality.BAD_DEVICE])
        async with Publisher(server.url, user="edge", password="s3cret") as publisher:
            await publisher.publish("yes/1", b"5", qos=1)
        (batch,) = await read(source)
        assert (batch.tag.tolist(), batch.value.tolist()) == ([1], [5.0])


async def test_broker_killed_while_reading(broker: Mosquitto, make: Any) -> None:
    source = make(broker.url, TAGS)
    await source.connect()
    reading = asyncio.create_task(read_until_lost(source, 5))
    await asyncio.sleep(0)
    await broker.kill()
    assert "closed" in await reading or "reset" in await reading


async def test_broker_that_stops(broker: Mosquitto, make: Any) -> None:
    source = make(broker.url, TAGS)
    await source.connect()
    await broker.stop()
    assert "closed by the broker" in await read_until_lost(source, 5)


async def test_frozen_broker_is_lost_after_keepalive(broker: Mosquitto, make: Any) -> None:
    source = make(broker.url, TAGS, keepalive="1s")
    await source.connect()
    broker.freeze()
    started = time.monotonic()
    assert "no sign of life" in await read_until_lost(source, 5)
    assert 0.9 < time.monotonic() - started < 3
    started = time.monotonic()
    await source.close()
    assert time.monotonic() - started < 2


async def test_quiet_broker_is_not_lost_even_when_nobody_reads(broker: Mosquitto, publisher: Publisher, make: Any, read: Any) -> None:
    source = make(broker.url, TAGS, keepalive="1s")
    await source.connect()
    log = broker.folder / "mosquitto.log"
    await asyncio.sleep(2.5)  # a broker closes what is silent for one and a half keepalives
    assert "exceeded timeout" not in log.read_text()
    await publisher.publish("p/t", b"1", qos=1)
    (batch,) = await read(source)
    assert batch.value.tolist() == [1]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x00", b"\x30\xff\xff\xff\xff\xff", b"\x00\x00"])
async def test_peer_that_speaks_something_else(make: Any, answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with peer(speak) as url:
        assert "no MQTT as we know it" in await refusal(make(url, TAGS))


NUMBER = b"\x30\x06\x00\x03p/t5"


async def let_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x20\x02\x00\x00")
    await reader.read(1000)
    writer.write(b"\x90\x03\x00\x01\x00")


@pytest.mark.parametrize("size", [b"\xff\x7f", b"\xff\xff\xff\x7f"], ids=["16 kB", "268 MB"])
async def test_packet_that_announced_more_than_it_has_does_not_swallow_all_that_follows(
    make: Any, monkeypatch: pytest.MonkeyPatch, size: bytes
) -> None:
    monkeypatch.setattr(link_module, "SLOW_SECONDS", 1.0)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await let_in(reader, writer)
        writer.write(b"\x30" + size + b"\x00\x03p/t1")
        while not writer.is_closing():
            writer.write(NUMBER)
            await asyncio.sleep(0.02)

    async with peer(drip) as url:
        source = make(url, TAGS, version="3.1.1", keepalive="1s")
        await source.connect()
        assert "no end of the packet they belong to" in await read_until_lost(source, 5)
        await source.close()


async def test_packet_that_comes_slowly_in_pieces_is_waited_for(make: Any, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "SLOW_SECONDS", 1.0)

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await let_in(reader, writer)
        writer.write(b"\x30\x8e\x40\x00\x03p/t")  # 8 kB, at 4 kB/s; before and after it a broker that rests
        for _ in range(20):
            writer.write(b" " * 410)
            await asyncio.sleep(0.1)
        writer.write(b"5")
        await asyncio.sleep(1.5)
        writer.write(NUMBER)

    async with peer(slow) as url:
        source = make(url, TAGS, version="3.1.1", keepalive="10s")
        await source.connect()
        for _ in range(2):
            (batch,) = await read(source)
            assert batch.value.tolist() == [5]
        await source.close()


async def test_more_than_a_megabyte_is_left_in_the_socket() -> None:
    size = 16 << 20

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * size)

    async with peer(flood) as url:
        link = Link()
        await asyncio.get_running_loop().create_connection(lambda: link, "127.0.0.1", int(url.rpartition(":")[2]))
        link.send(b"go")
        taken, largest = 0, 0
        async with asyncio.timeout(10):
            while taken < size:
                await link.wait()
                for _ in range(50):
                    await asyncio.sleep(0)
                largest = max(largest, chunk := len(link.take()))
                taken += chunk
        assert largest <= UNREAD_BYTES + (256 << 10)
        await link.close()
