"""A host application without a broker, and what edge nodes say to it, by the encoder of the testkit; brokers and sources."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from drivers.broker.framing import Publish
from drivers.sparkplug.config import SparkplugOptions, SparkplugTag
from drivers.sparkplug.gathered import Gathered
from drivers.sparkplug.host import Host
from drivers.sparkplug.node import Now
from gateway import registry
from gateway.contract import Batch, Health, Source, Tag
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.mqtt import Mosquitto, require_mosquitto
from gateway.testkit.servers.sparkplug import DOUBLE, INT64, metric, payload

T_MS = 1_790_000_000_000
TAGS: dict[str, dict[str, Any]] = {"load": {"metric": "Load"}, "speed": {"metric": "Speed", "device": "press"}}


class Talk:
    """Says things to a host, a second of monotonic time 0 unless `at` says another."""

    def __init__(self, tags: Mapping[str, Mapping[str, Any]] = TAGS, **options: Any) -> None:
        given = {"sparkplug": "mqtt://h", "group": "g", "node": "n", "rebirth_every": "10s", "sequence_wait": "1s"} | options
        rows = [Tag(at, "m", name, SparkplugTag.model_validate(one)) for at, (name, one) in enumerate(tags.items())]
        self.host = Host(SparkplugOptions.model_validate(given), rows)
        self.node = next(iter(self.host.nodes.values()))
        self.at = 0.0
        self.node.connected(self.now)

    @property
    def now(self) -> Now:
        return Now(T_MS * 1_000_000 + int(self.at * 1e9), self.at)

    def say(self, kind: str, raw: bytes | None, device: str = "") -> Gathered:
        into = Gathered()
        topic = f"spBv1.0/g/{kind}/n" + (f"/{device}" if device else "")
        message: Publish = (topic.encode(), raw, 0x30, b"", b"")
        self.host.take([message], self.now, into)
        return into

    def births(self, seq: int = 0, bd_seq: int = 0, load: float = 1.0, speed: float = 2.0) -> Gathered:
        """Of the node (alias 1: Load, 2: nobody's) and of its device (alias 3: Speed)."""
        own = [metric(INT64, bd_seq, name="bdSeq"), metric(DOUBLE, load, name="Load", alias=1), metric(DOUBLE, 0.0, name="Other", alias=2)]
        first = self.say("NBIRTH", payload(*own, seq=seq, t_ms=self.ms))
        second = self.say("DBIRTH", payload(metric(DOUBLE, speed, name="Speed", alias=3), seq=seq + 1, t_ms=self.ms), "press")
        first.readings += second.readings
        first.health += second.health
        return first

    def load(self, value: float, seq: int, *, alias: int = 1, **more: Any) -> Gathered:
        return self.say("NDATA", payload(data(value, alias, **more), seq=seq, t_ms=self.ms))

    def speed(self, value: float, seq: int) -> Gathered:
        return self.say("DDATA", payload(data(value, 3), seq=seq, t_ms=self.ms), "press")

    def wait(self, seconds: float) -> Gathered:
        into = Gathered()
        self.at += seconds
        self.host.look(self.now, into)
        return into

    def asks(self) -> int:
        return len(self.host.asks(self.now))

    @property
    def ms(self) -> int:
        return T_MS + int(self.at * 1000)


def data(value: float, alias: int, **more: Any) -> bytes:
    return metric(DOUBLE, value, alias=alias, **more)


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.fixture
async def broker() -> AsyncIterator[Mosquitto]:
    require_mosquitto()
    async with Mosquitto() as server:
        yield server


class Made:
    """A source and what it told."""

    def __init__(self, source: Source, lost: Counter[str], told: list[Health], filled: list[tuple[int, int, int]]) -> None:
        self.source, self.lost, self.told, self.filled = source, lost, told, filled
        self.readings: list[tuple[int, int, float, int]] = []

    async def until(self, what: Callable[[], Any]) -> None:
        """Read until it holds."""
        async with asyncio.timeout(10):
            while not what():
                got = await self.source.read()
                for item in got if isinstance(got, list) else [got]:
                    if isinstance(item, Batch):
                        rows = (item.tag, item.t_ns, item.value, item.quality)
                        self.readings += zip(*(column.tolist() for column in rows), strict=True)

    def last(self, tag: int) -> tuple[float, int] | None:
        """(value, quality)."""
        return next(((value, quality) for index, _, value, quality in reversed(self.readings) if index == tag), None)


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[..., Made]]:
    """``make(url, tags, **options)``: a source, closed at the end; all share one state folder."""
    made: list[Made] = []

    def build(url: str, tags: Mapping[str, Mapping[str, Any]] = TAGS, machine: str = "m1", **options: Any) -> Made:
        plugin = registry.source("sparkplug")
        lost, told, filled = Counter[str](), list[Health](), list[tuple[int, int, int]]()
        context = source_context(plugin, tags, machine=machine, state_dir=tmp_path / machine, lost=lost, told=told, filled=filled)
        given = {"sparkplug": url, "group": "g", "node": "n", "rebirth_every": "1s"} | options
        made.append(Made(plugin.build(plugin.options.model_validate(given), context), lost, told, filled))
        return made[-1]

    yield build
    for each in made:
        await each.source.close()
