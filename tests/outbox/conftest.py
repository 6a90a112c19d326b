"""An open outbox in a folder of its own, with a clock to turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.outbox.store import Outbox
from gateway.testkit.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def outbox(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Outbox]:
    box = Outbox(tmp_path, clock)
    assert box.open() is None
    yield box
    await box.close()
