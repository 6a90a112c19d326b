"""Against mosquitto and an edge node: the state of the host, births that are asked for, deaths by will, restarts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from gateway.contract import BAD, GOOD, UNCERTAIN, NotConnected, Trouble
from gateway.testkit.servers.mqtt import Mosquitto, Publisher
from gateway.testkit.servers.sparkplug import DOUBLE, EdgeNode

LOAD, SPEED = 0, 1
DEVICES = {"": {"Load": (DOUBLE, 1.0)}, "press": {"Speed": (DOUBLE, 2.0)}}
STATE = "spBv1.0/STATE/lineside-m1"


class Listener:
    """What is said of a host id."""

    def __init__(self, port: int, topic: str) -> None:
        self.said: list[dict[str, Any]] = []
        self._loop = asyncio.get_running_loop()
        self._client = client = Client(CallbackAPIVersion.VERSION2)
        client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        client.on_message = lambda _client, _data, message: self._loop.call_soon_threadsafe(self.said.append, json.loads(message.payload))
        client.connect("127.0.0.1", port)
        client.loop_start()

    async def until(self, online: bool, count: int = 1) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while len(those := [each for each in self.said if each["online"] is online]) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return those[-1]

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
async def node(broker: Mosquitto) -> AsyncIterator[EdgeNode]:
    async with EdgeNode(broker.url, "g", "n", DEVICES) as edge:
        yield edge


@pytest.fixture
async def state(broker: Mosquitto) -> AsyncIterator[Listener]:
    listener = Listener(broker.port, STATE)
    yield listener
    listener.stop()


async def test_births_from_before_us_are_asked_for(broker: Mosquitto, node: EdgeNode, make: Callable[..., Any]) -> None:
    host = make(broker.url)
    await host.source.connect()
    await host.until(lambda: host.last(SPEED))
    assert (host.last(LOAD), host.last(SPEED), node.asked) == ((1.0, GOOD), (2.0, GOOD), 1)
    node.data("press", Speed=7.0)
    await host.until(lambda: host.last(SPEED) == (7.0, GOOD))
    assert host.lost == {}


async def test_the_state_is_told_with_the_time_of_its_will(broker: Mosquitto, state: Listener, make: Callable[..., Any]) -> None:
    host = make(broker.url)
    await host.source.connect()
    online = await state.until(True)
    await host.source.close()
    assert await state.until(False) == online | {"online": False}
    await host.source.connect()
    again = await state.until(True, 2)
    assert again["timestamp"] > online["timestamp"]
    host.source._session.link.abort()
    with pytest.raises(NotConnected):
        await host.source.read()
    assert await state.until(False, 2) == again | {"online": False}


async def test_who_says_that_we_are_gone_is_contradicted(broker: Mosquitto, state: Listener, make: Callable[..., Any]) -> None:
    host = make(broker.url)
    await host.source.connect()
    online = await state.until(True)
    reading = asyncio.create_task(host.until(lambda: False))
    async with Publisher(broker.url) as other:
        await other.publish(STATE, json.dumps(online | {"online": False}).encode(), 1, retain=True)
        assert await state.until(True, 2) == online
        # One that is later than our connection is believed by edge nodes: only a later connection helps.
        later = online["timestamp"] + 3_600_000
        await other.publish(STATE, json.dumps({"online": False, "timestamp": later}).encode(), 1, retain=True)
        with pytest.raises(NotConnected, match="later than us"):
            await asyncio.wait_for(reading, 10)
    await host.source.close()
    await host.source.connect()
    assert (await state.until(True, 3))["timestamp"] == later + 1


async def test_a_node_that_dies_and_comes_back(broker: Mosquitto, node: EdgeNode, make: Callable[..., Any]) -> None:
    host = make(broker.url)
    await host.source.connect()
    await host.until(lambda: host.last(SPEED))
    await node.die()
    await host.until(lambda: host.last(SPEED)[1] == BAD and host.last(LOAD)[1] == BAD)
    assert [(each.trouble, each.device) for each in host.told if each.active] == [(Trouble.LOST, "g/n")]
    await node.start()
    await host.until(lambda: host.last(SPEED)[1] == GOOD)
    assert {(each.trouble, each.device): each.active for each in host.told}[Trouble.LOST, "g/n"] is False


async def test_after_a_restart_aliases_are_known_before_the_next_birth(broker: Mosquitto, node: EdgeNode, make: Callable[..., Any]) -> None:
    first = make(broker.url)
    await first.source.connect()
    await first.until(lambda: first.last(SPEED))
    await first.source.close()
    node.obeys = False
    second = make(broker.url)
    await second.source.connect()
    node.data("press", Speed=3.0)
    await second.until(lambda: second.last(SPEED) == (3.0, GOOD))
    await second.source.close()
    node.data("press", Speed=4.0)
    third = make(broker.url)
    await third.source.connect()
    node.data("press", Speed=5.0)
    await third.until(lambda: third.last(SPEED) == (5.0, UNCERTAIN))
    node.obeys = True
    await third.until(lambda: third.last(SPEED) == (5.0, GOOD))
    assert node.asked >= 2


async def test_a_gateway_that_is_killed_knows_the_births_it_took(broker: Mosquitto, node: EdgeNode, make: Callable[..., Any]) -> None:
    first = make(broker.url)
    await first.source.connect()
    await first.until(lambda: first.last(SPEED))
    await first.source._keep()  # what the next read begins with
    first.source._session.link.abort()
    node.obeys = False
    second = make(broker.url)
    await second.source.connect()
    node.data("press", Speed=3.0)
    await second.until(lambda: second.last(SPEED) == (3.0, UNCERTAIN))


async def test_requests_are_throttled(broker: Mosquitto, node: EdgeNode, make: Callable[..., Any]) -> None:
    node.obeys = False
    host = make(broker.url, rebirth_every="1h")
    await host.source.connect()
    for _ in range(30):
        node.data("press", Speed=1.0)
    reading = asyncio.create_task(host.source.read())
    async with asyncio.timeout(10):
        while host.lost["birth_missing"] < 30:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    node.obeys = True
    node.births()
    await reading
    assert (host.lost, node.asked) == ({"birth_missing": 30}, 1)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_another_gateway_with_our_client_id_is_told_of_and_not_thrown_out_every_few_seconds(
    broker: Mosquitto, make: Callable[..., Any], version: str
) -> None:
    us, other = (make(broker.url, machine=name, client_id="edge", version=version) for name in ("m1", "m2"))
    await us.source.connect()
    for time in range(3):
        await other.source.connect()
        with pytest.raises(NotConnected) as caught:
            await us.until(lambda: False)
        assert caught.value.login == (time == 2)
        await us.source.close()
        await us.source.connect()
        await other.source.close()
    assert "another client use our client id 'edge'" in caught.value.why
    assert [(each.trouble, each.device) for each in us.told if each.active] == [(Trouble.LOST, "")]


async def test_two_sources_of_one_host_id_keep_it_online(broker: Mosquitto, make: Callable[..., Any]) -> None:
    topic = "spBv1.0/STATE/line-1"
    listener = Listener(broker.port, topic)
    first, second = make(broker.url, host_id="line-1"), make(broker.url, machine="m2", host_id="line-1")
    await first.source.connect()
    await second.source.connect()
    await listener.until(True, 2)
    reading = asyncio.create_task(second.until(lambda: False))
    await first.source.close()
    await listener.until(False)
    assert await listener.until(True, 3)
    assert listener.said[-1]["online"] is True
    reading.cancel()
    listener.stop()
