"""A rig's server and a plugin of it, each ended whatever the check says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from gateway.contract import Source, Uplink
from gateway.testkit.checks.watch import in_time
from gateway.testkit.rigs import SourceRig, UplinkRig

CONNECT_SECONDS = 10.0
Edge = TypeVar("Edge", Source, Uplink)


@asynccontextmanager
async def running(rig: SourceRig | UplinkRig) -> AsyncIterator[None]:
    """The rig's peer, started."""
    await rig.start()
    try:
        yield
    finally:
        await rig.stop()


@asynccontextmanager
async def opened(edge: Edge) -> AsyncIterator[Edge]:
    """Connected in time, and closed in time."""
    try:
        await in_time(edge.connect(), CONNECT_SECONDS, "connect")
        yield edge
    finally:
        await in_time(edge.close(), CONNECT_SECONDS, "close")
