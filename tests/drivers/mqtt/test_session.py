"""What a source of another payload (Sparkplug) builds on: a session that subscribes, publishes and has a will."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.broker.broker import Broker, connecting
from drivers.broker.framing import RETAIN, Publish
from drivers.broker.packets import Will
from drivers.broker.session import Session
from drivers.mqtt.config import MqttOptions
from gateway import registry
from gateway.contract import NotConnected
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.mqtt import Amqtt, Mosquitto, Publisher, require_mosquitto


class Sessions:
    """`await sessions(url, will)`: a session, ended at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.made = folder, list[Session]()

    async def __call__(self, url: str, will: Will | None = None, **options: object) -> Session:
        context = source_context(registry.source("mqtt"), {}, state_dir=self._folder / str(len(self.made)))
        broker = Broker(MqttOptions.model_validate({"mqtt": url} | options), context, persistent=False)
        async with connecting(broker.peer):
            self.made.append(await broker.connect(will))
        return self.made[-1]


@pytest.fixture
async def sessions(tmp_path: Path) -> AsyncIterator[Sessions]:
    sessions = Sessions(tmp_path)
    yield sessions
    for session in sessions.made:
        await session.close()


async def next_message(session: Session) -> Publish:
    async with asyncio.timeout(5):
        while not (messages := session.take()):
            await session.wait()
    session.accept()
    (message,) = messages
    return message


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("qos", [0, 1])
async def test_what_is_published_comes(broker: Mosquitto, sessions: Sessions, version: str, qos: int) -> None:
    ours, other = await sessions(broker.url, version=version), await sessions(broker.url, version=version)
    assert await other.subscribe([("ncmd/#", 1, False)]) == []
    assert await ours.publish("ncmd/1", b"rebirth", qos=qos) == ""
    topic, payload, command, _, _ = await next_message(other)
    assert (topic, payload, command >> 1 & 3) == (b"ncmd/1", b"rebirth", qos)


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_the_will_is_published_when_we_are_lost_and_not_when_we_leave(broker: Mosquitto, sessions: Sessions, version: str) -> None:
    other = await sessions(broker.url)
    await other.subscribe([("state/+", 1, False)])
    will = Will("state/us", b"offline", qos=1, retain=True)
    left = await sessions(broker.url, will._replace(topic="state/left"), version=version)
    await left.close()
    lost = await sessions(broker.url, will, version=version)
    await lost.publish("state/us", b"online", qos=1, retain=True)
    assert (await next_message(other))[:2] == (b"state/us", b"online")
    lost.link.abort()
    assert (await next_message(other))[:2] == (b"state/us", b"offline")
    late = await sessions(broker.url)
    await late.subscribe([("state/us", 1, False)])
    topic, payload, command, _, _ = await next_message(late)
    assert (topic, payload, command & RETAIN) == (b"state/us", b"offline", RETAIN)


async def test_messages_that_come_while_we_publish_are_kept(broker: Mosquitto, publisher: Publisher, sessions: Sessions) -> None:
    session = await sessions(broker.url)
    await session.subscribe([("a", 1, False)])
    await publisher.publish("a", b"1", qos=1)
    await session.publish("b", b"2", qos=1)
    await session.publish("b", b"3", qos=1)
    assert (await next_message(session))[1] == b"1"


async def test_what_the_broker_may_not_pass_on_is_told(sessions: Sessions, tmp_path: Path) -> None:
    require_mosquitto()
    (tmp_path / "acl").write_text("topic read #\ntopic write yes/#\n")
    async with Mosquitto(extra=f"acl_file {tmp_path / 'acl'}") as server:
        session = await sessions(server.url)
        assert await session.publish("no/1", b"1", qos=1) == "Not authorized"


async def test_publishing_over_a_lost_link_is_not_connected(broker: Mosquitto, sessions: Sessions) -> None:
    session = await sessions(broker.url)
    await broker.kill()
    for qos in (1, 0):
        with pytest.raises(NotConnected):
            await session.publish("a", b"1", qos=qos)


async def test_filters_beyond_one_packet_and_taken_back(broker: Mosquitto, publisher: Publisher, sessions: Sessions) -> None:
    session = await sessions(broker.url)
    filters = [f"t/{n}" for n in range(250)]
    assert await session.subscribe([(one, 1, False) for one in filters]) == []
    await session.unsubscribe(filters[:-1])
    for one in (filters[0], filters[120], filters[-1]):
        await publisher.publish(one, b"1", qos=1)
    assert (await next_message(session))[0] == b"t/249"


async def test_amqtt_takes_will_and_publish(amqtt: Amqtt, sessions: Sessions) -> None:
    other = await sessions(amqtt.url, version="3.1.1")
    await other.subscribe([("state/us", 1, False)])
    lost = await sessions(amqtt.url, Will("state/us", b"offline", qos=1), version="3.1.1")
    await lost.publish("state/us", b"online", qos=1)
    assert (await next_message(other))[1] == b"online"
    lost.link.abort()
    assert (await next_message(other))[1] == b"offline"
