"""Against an edge node we did not write: npm's sparkplug-client. `make conformance` runs it; it needs `npm ci` in ``node/``."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from drivers.sparkplug import plugin
from gateway.contract import BAD, GOOD, UNCERTAIN, Quality, Source, Trouble
from gateway.testkit.checks import source_checks
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.mqtt import Mosquitto, require_mosquitto
from gateway.testkit.servers.ports import free_port

HERE = Path(__file__).parent / "node"
pytestmark = pytest.mark.skipif(not os.environ.get("LINESIDE_CONFORMANCE"), reason="make conformance runs it")

TAGS: dict[str, dict[str, Any]] = {
    "load": {"metric": "Load"},
    "temp": {"metric": "Temp"},
    "wide": {"metric": "Wide"},
    "back": {"metric": "Back"},
    "on": {"metric": "On"},
    "mode": {"metric": "Mode", "states": {"RUN": 1, "STOP": 0}},
    "small": {"metric": "Small"},
    "oil": {"metric": "Table", "column": "level", "row": "oil"},
    "speed": {"metric": "Motor", "member": "Speed"},
    "uptime": {"device": "", "metric": "Uptime"},
}
BORN = [1.5, -5.0, 4294967296.0, -70000.0, 1.0, 1.0, 0.25, 40.5, 1480.0, 3.0]
LOAD, TEMP, UPTIME = 0, 1, 9
OPTIONS = {"group": "plant", "node": "npm", "device": "press", "rebirth_every": "1s"}


class Edge:
    """The program; `tell` returns when it has done it."""

    def __init__(self, url: str, **options: Any) -> None:
        self._options = {"url": url} | options
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        arguments = (shutil.which("node") or "node", str(HERE / "edge.js"), json.dumps(self._options))
        self._process = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe)
        async with asyncio.timeout(20):
            assert await self._line() == "ready"

    async def tell(self, do: str, **arguments: Any) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        async with asyncio.timeout(20):
            while not (line := await self._line()).startswith("{"):
                pass
        return json.loads(line)["answer"]

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.communicate()

    async def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the edge node ended"
        return line.decode().strip()


@pytest.fixture(params=["", "DEFLATE", "GZIP"], ids=["plain", "deflate", "gzip"])
async def edge(request: pytest.FixtureRequest, broker: Mosquitto) -> AsyncIterator[Edge]:
    running = Edge(broker.url, compress=request.param)
    await running.start()
    yield running
    await running.kill()


def values(host: Any) -> list[float | None]:
    return [None if host.last(tag) is None else host.last(tag)[0] for tag in range(len(TAGS))]


async def test_from_birth_to_death(broker: Mosquitto, edge: Edge, make: Callable[..., Any]) -> None:
    host = make(broker.url, TAGS, **OPTIONS)
    await host.source.connect()
    await host.until(lambda: values(host) == BORN)
    assert {quality for _, _, _, quality in host.readings} == {GOOD}
    asked = await edge.tell("asked")
    assert asked <= 2
    await edge.tell("data", alias=11, type="Int16", value=-300)
    await edge.tell("data", name="Load", type="Double", value=9.5)
    await host.until(lambda: host.last(TEMP) == (-300.0, GOOD) and host.last(LOAD) == (9.5, GOOD))
    await edge.tell("data", alias=10, type="Double", value=2.5, historical=True)
    await host.until(lambda: host.last(LOAD) == (2.5, Quality.BACKFILLED))
    assert host.filled[-1][2] == 1
    for _ in range(300):
        await edge.tell("data", alias=10, type="Double", value=3.5)
    await edge.tell("data", alias=10, type="Double", value=4.5)
    await host.until(lambda: host.last(LOAD) == (4.5, GOOD))
    assert (host.lost, await edge.tell("asked")) == ({}, asked)
    await edge.tell("devicedeath")
    await host.until(lambda: host.last(LOAD)[1] == BAD)
    assert host.last(UPTIME)[1] == GOOD
    await edge.tell("birth")
    await host.until(lambda: host.last(LOAD) == (1.5, GOOD))
    await edge.tell("stop")
    await host.until(lambda: host.last(UPTIME)[1] == BAD)
    assert (Trouble.LOST, "plant/npm") in {(each.trouble, each.device) for each in host.told if each.active}


async def test_a_message_that_is_missing_brings_a_birth(broker: Mosquitto, edge: Edge, make: Callable[..., Any]) -> None:
    host = make(broker.url, TAGS, **OPTIONS)
    await host.source.connect()
    await host.until(lambda: values(host) == BORN)
    asked = await edge.tell("asked")
    await edge.tell("skip")
    await edge.tell("data", alias=10, type="Double", value=7.0)
    await host.until(lambda: host.last(LOAD) == (7.0, UNCERTAIN))
    await host.until(lambda: host.last(LOAD) == (1.5, GOOD))
    assert (host.lost, await edge.tell("asked")) == ({"sequence_gap": 1}, asked + 1)


async def test_one_that_is_killed_is_lost_by_its_will(broker: Mosquitto, edge: Edge, make: Callable[..., Any]) -> None:
    host = make(broker.url, TAGS, **OPTIONS)
    await host.source.connect()
    await host.until(lambda: values(host) == BORN)
    await edge.kill()
    await host.until(lambda: host.last(LOAD)[1] == BAD)
    await edge.start()
    await host.until(lambda: values(host) == BORN)
    assert {(each.trouble, each.device): each.active for each in host.told}[Trouble.LOST, "plant/npm"] is False


class Rig:
    """The battery's."""

    can_be_dead = True
    tags = len(TAGS)
    exempt: ClassVar[dict[str, str]] = {}

    def __init__(self, state: Path) -> None:
        require_mosquitto()
        self._broker, self._dead, self._state, self._count = Mosquitto(), free_port(), state, 0
        self._edge = Edge(self._broker.url)

    async def start(self) -> None:
        await self._broker.start()
        await self._edge.start()

    async def stop(self) -> None:
        await self._edge.kill()
        await self._broker.kill()

    def source(self) -> Source:
        return self._build(self._broker.url)

    def dead_source(self) -> Source:
        return self._build(f"mqtt://127.0.0.1:{self._dead}")

    async def stimulate(self) -> None:
        self._count += 1
        await self._edge.tell("data", alias=10, type="Double", value=self._count)

    def _build(self, url: str) -> Source:
        options = plugin.options.model_validate({"sparkplug": url, "keepalive": "4s"} | OPTIONS)
        return plugin.build(options, source_context(plugin, TAGS, state_dir=self._state))


@pytest.mark.parametrize("check", source_checks.CHECKS, ids=lambda check: check.__name__)
async def test_the_battery(check: Callable[[Any], Any], tmp_path: Path) -> None:
    await check(Rig(tmp_path))
