"""Brokers on loopback, a publisher, and sources that subscribe there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from gateway import registry
from gateway.contract import Item, Source
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.mqtt import Amqtt, Mosquitto, Publisher, require_mosquitto

Make: TypeAlias = Callable[..., Source]
Options: TypeAlias = Mapping[str, Mapping[str, Any]]


@pytest.fixture
async def broker() -> AsyncIterator[Mosquitto]:
    require_mosquitto()
    async with Mosquitto() as server:
        yield server


@pytest.fixture
async def amqtt() -> AsyncIterator[Amqtt]:
    async with Amqtt() as server:
        yield server


@pytest.fixture
async def publisher(broker: Mosquitto) -> AsyncIterator[Publisher]:
    async with Publisher(broker.url, version="5") as client:
        yield client


@pytest.fixture
def lost() -> Counter[str]:
    """What the source said it dropped."""
    return Counter()


@pytest.fixture
async def make(lost: Counter[str], tmp_path: Path) -> AsyncIterator[Make]:
    """``make(url, tags, records, **options)``: a source, closed at the end; all share one state folder."""
    made: list[Source] = []

    def build(url: str, tags: Options | None = None, records: Options | None = None, **options: Any) -> Source:
        plugin = registry.source("mqtt")
        secrets = {"good": "s3cret", "bad": "guess"}
        context = source_context(plugin, tags or {}, records=records, lost=lost, state_dir=tmp_path, secrets=secrets)
        made.append(plugin.build(plugin.options.model_validate({"mqtt": url} | options), context))
        return made[-1]

    yield build
    for source in made:
        await source.close()


@pytest.fixture
def read() -> Callable[[Source], Any]:
    """``await read(source)``: its next items, as a list; fails after five seconds."""

    async def once(source: Source) -> list[Item]:
        async with asyncio.timeout(5):
            got = await source.read()
        return got if isinstance(got, list) else [got]

    return once
