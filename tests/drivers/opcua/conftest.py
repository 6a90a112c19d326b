"""One server for all tests of the driver (its start takes a second or two), and a source for it that waits with a deadline."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from asyncua import ua

from drivers.opcua import plugin
from drivers.opcua.source import OpcuaSource
from gateway.contract import Batch, Clock
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.opcua import OpcuaServer

VALUES = {
    "load": 12.5,
    "running": True,
    "speed": ua.Variant(1500, ua.VariantType.UInt16),
    "name": "spindle",
    "list": [1.0, 2.0],
    "aside": 0.0,
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[OpcuaServer]:
    async with OpcuaServer(VALUES, encrypted=True) as running:
        yield running


class Probe:
    """A source, connected inside ``async with``."""

    def __init__(self, source: OpcuaSource) -> None:
        self.source = source

    async def __aenter__(self) -> Probe:
        await self.source.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.source.close()

    async def until(self, enough: Callable[[Batch], bool], *, seconds: float = 5) -> Batch:
        """Everything read until it is enough."""
        got: list[Batch] = []
        async with asyncio.timeout(seconds):
            while not got or not enough(Batch.concat(got)):
                got.append(await self.source.read())
        return Batch.concat(got)

    async def each(self, count: int) -> Batch:
        """The last reading of each of the first `count` tags, in their order, as soon as there is one of each."""
        batch = await self.until(lambda b: len(set(b.tag.tolist())) == count)
        return batch.select(np.array([np.flatnonzero(batch.tag == tag)[-1] for tag in range(count)]))


@pytest.fixture
def probe(tmp_path: Path) -> Callable[..., Probe]:
    """`probe(url, {"load": node or options}, security=..., lost=counter, clock=clock)`."""

    def build(url: str, nodes: Mapping[str, Any], *, clock: Clock | None = None, lost: Counter[str] | None = None, **options: Any) -> Probe:
        tags = {name: {"node": node} if isinstance(node, str) else node for name, node in nodes.items()}
        secrets = {"good": "s3cret", "bad": "guess"}
        told = {name: options.pop(name) for name in ("told", "filled", "records", "pki") if name in options}
        context = source_context(plugin, tags, clock=clock, lost=lost, state_dir=tmp_path, secrets=secrets, **told)
        common = {"opcua": url, "publishing": "20ms", "sampling": "10ms", "trust": "first_use"}
        source = plugin.build(plugin.options.model_validate(common | options), context)
        assert isinstance(source, OpcuaSource)
        return Probe(source)

    return build
