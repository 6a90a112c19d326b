"""Uplinks that are closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.testkit.posting import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    for uplink in made.made:
        await uplink.close()
