"""A PLC on loopback and sources that read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeAlias

import pytest

from gateway import registry
from gateway.contract import Clock, Source
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.modbus import Plc

Make: TypeAlias = Callable[..., Source]


@pytest.fixture
async def plc() -> AsyncIterator[Plc]:
    async with Plc() as server:
        yield server


@pytest.fixture
def lost() -> Counter[str]:
    """What the source said it dropped."""
    return Counter()


@pytest.fixture
async def make(lost: Counter[str]) -> AsyncIterator[Make]:
    """``make(url, tags, **options)``: a source, closed at the end."""
    made: list[Source] = []

    def build(url: str, tags: Mapping[str, Mapping[str, Any]], *, clock: Clock | None = None, **options: Any) -> Source:
        plugin = registry.source("modbus")
        given = {"modbus": url, "poll_seconds": 0, "timeout": "300ms"} | options
        context = source_context(plugin, tags, clock=clock, lost=lost)
        made.append(plugin.build(plugin.options.model_validate(given), context))
        return made[-1]

    yield build
    for source in made:
        await source.close()
