"""A broker that does not speak version 5 is spoken to in 3.1.1, and remembered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import NotConnected
from gateway.testkit.servers.mqtt import Amqtt, Mosquitto, Publisher

TAGS = {"t": {"topic": "p/t"}}
ANSWERS = {"closes": b"", "code 1": b"\x20\x02\x00\x01", "0x84": b"\x20\x03\x00\x84\x00"}


@asynccontextmanager
async def only(level: int, answer: bytes, asked: list[int]) -> AsyncIterator[str]:
    """Takes clients of one version; `asked`: the versions asked for."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(2)
        body = await reader.readexactly(head[1])
        asked.append(body[6])
        if body[6] != level:
            writer.write(answer)
        else:
            writer.write(b"\x20\x02\x00\x00" if level == 4 else b"\x20\x03\x00\x00\x00")
            head = await reader.readexactly(2)
            body = await reader.readexactly(head[1])
            writer.write(b"\x90\x03" + body[:2] + b"\x01" if level == 4 else b"\x90\x04" + body[:2] + b"\x00\x01")
            await reader.read(100)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_refused_version_5_is_followed_by_3_1_1_and_remembered(make: Any, answer: bytes) -> None:
    asked: list[int] = []
    async with only(4, answer, asked) as url:
        first = make(url, TAGS)
        await first.connect()
        await first.close()
        await make(url, TAGS).connect()
    assert asked == [5, 4, 4]


async def test_told_otherwise_is_not_remembered(make: Any) -> None:
    asked: list[int] = []
    async with only(4, b"\x20\x02\x00\x01", asked) as url:
        await make(url, TAGS).connect()
        with pytest.raises(NotConnected, match="refused: Unsupported protocol version"):
            await make(url, TAGS, version="5").connect()
    assert asked == [5, 4, 5]


async def test_a_broker_that_learns_version_5_is_spoken_to_in_it(make: Any, tmp_path: Path) -> None:
    asked: list[int] = []
    async with only(5, b"\x20\x02\x00\x01", asked) as url:
        peer = url.removeprefix("mqtt://")
        (tmp_path / "session.json").write_text(json.dumps({"client_id": "edge", "filters": [], "speaks": {peer: "3.1.1"}}))
        await make(url, TAGS).connect()
    assert asked == [4, 5]
    assert json.loads((tmp_path / "session.json").read_text())["speaks"] == {peer: "5"}


async def test_what_is_remembered_of_one_broker_is_not_of_another(broker: Mosquitto, make: Any, tmp_path: Path) -> None:
    (tmp_path / "session.json").write_text(json.dumps({"client_id": "edge", "filters": [], "speaks": {"127.0.0.1:1": "3.1.1"}}))
    await make(broker.url, TAGS).connect()
    log = (broker.folder / "mosquitto.log").read_text()
    assert "as edge (p5," in log


async def test_a_broker_that_closes_whatever_we_say_is_not_connected(make: Any) -> None:
    asked: list[int] = []
    async with only(3, b"", asked) as url:
        with pytest.raises(NotConnected, match="closed by the broker"):
            await make(url, TAGS).connect()
    assert asked == [5, 4]


async def test_amqtt_that_does_not_answer_is_spoken_to_in_3_1_1(
    amqtt: Amqtt, make: Any, read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.broker.broker.SILENT_SECONDS", 0.3)
    source = make(amqtt.url, TAGS)
    await source.connect()
    async with Publisher(amqtt.url) as publisher:
        await publisher.publish("p/t", b"5", qos=1)
    (batch,) = await read(source)
    assert batch.value.tolist() == [5.0]
    assert "speaks" not in (tmp_path / "session.json").read_text(), "a slow broker would be taken for an old one for ever"
    monkeypatch.setattr("drivers.broker.broker.SILENT_SECONDS", 60)
    await source.close()
    await source.connect()
