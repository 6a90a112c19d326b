"""Two clients with one client id: the broker gives the session to whoever came last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import registry
from gateway.contract import Health, NotConnected, Source, Trouble
from gateway.testkit.clock import FakeClock
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.mqtt import Mosquitto

TWICE = "another client uses our client id 'edge': the broker gives the session to whoever came last"
UNSAID = "hangs up on us again and again without a word: does another client use our client id 'edge'?"


class One:
    """A source of one of two gateways, and what it told."""

    def __init__(self, url: str, folder: Path, version: str) -> None:
        plugin = registry.source("mqtt")
        self.clock, self.told = FakeClock(), list[Health]()
        context = source_context(plugin, {"t": {"topic": "p/t"}}, clock=self.clock, told=self.told, state_dir=folder)
        options = plugin.options.model_validate({"mqtt": url, "client_id": "edge", "version": version})
        self.source: Source = plugin.build(options, context)

    @property
    def lost(self) -> list[bool]:
        return [health.active for health in self.told if health.trouble is Trouble.LOST]

    async def ends(self) -> NotConnected:
        """Reads until it is thrown out."""
        with pytest.raises(NotConnected) as caught:
            await asyncio.wait_for(self._read(), 5)
        await self.source.close()
        return caught.value

    async def _read(self) -> None:
        while True:
            await self.source.read()


@asynccontextmanager
async def two(broker: Mosquitto, folder: Path, version: str) -> AsyncIterator[tuple[One, One]]:
    us, other = (One(broker.url, folder / name, version) for name in ("us", "other"))
    await us.source.connect()
    try:
        yield us, other
    finally:
        await us.source.close()
        await other.source.close()


@asynccontextmanager
async def taking_over() -> AsyncIterator[str]:
    """What mosquitto 2.0 leaves unsaid: version 5 has a word for it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (lambda _: b"\x20\x03\x00\x00\x00", lambda body: b"\x90\x04" + body[:2] + b"\x00\x01\xe0\x02\x8e\x00"):
            head = await reader.readexactly(2)
            writer.write(answer(await reader.readexactly(head[1])))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_who_loses_its_session_in_turns_says_why_and_waits(broker: Mosquitto, tmp_path: Path, version: str) -> None:
    async with two(broker, tmp_path, version) as (us, other):
        for time in range(3):
            await other.source.connect()
            last = await us.ends()
            assert last.login == (time == 2), "from then on it must not throw the other one out every few seconds"
            await us.source.connect()
            await other.source.close()
        assert last.why == UNSAID
        assert us.lost == [True]


async def test_a_broker_that_says_so_is_believed_the_second_time(tmp_path: Path) -> None:
    async with taking_over() as url:
        us = One(url, tmp_path, "5")
        await us.source.connect()
        assert (await us.ends()).why == "closed by the broker: Session taken over"
        await us.source.connect()
        last = await us.ends()
        assert (last.why, last.login, us.lost) == (TWICE, True, [True])


async def test_it_is_over_when_the_session_was_kept_for_three_minutes(broker: Mosquitto, tmp_path: Path, publisher: Any) -> None:
    async with two(broker, tmp_path, "5") as (us, other):
        for waits in (1, 1, 1, 70):
            await other.source.connect()
            await us.ends()
            await us.source.connect()
            await us.clock.advance(waits)
            await other.source.close()
        assert us.lost == [True, True]
        await us.clock.advance(181)
        await publisher.publish("p/t", b"1", qos=1)
        await us.source.read()
        assert us.lost == [True, True, False]


async def test_a_broker_that_ends_and_is_away_for_a_while_is_no_rival(broker: Mosquitto, tmp_path: Path) -> None:
    us = One(broker.url, tmp_path, "3.1.1")
    for _ in range(4):
        await us.source.connect()
        await broker.kill()
        assert not (await us.ends()).login
        with pytest.raises(NotConnected):
            await us.source.connect()
        await us.source.close()
        await broker.start()
    assert us.lost == []
