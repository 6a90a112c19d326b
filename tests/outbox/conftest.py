"""An open outbox in a folder of its own, with a clock to turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.outbox.store import Outbox
from gateway.testkit.clock import FakeClock
from gateway.testkit.sending import Bench


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def outbox(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Outbox]:
    box = Outbox(tmp_path, clock)
    assert box.open() is None
    yield box
    await box.close()


@pytest.fixture
def bench(outbox: Outbox, clock: FakeClock) -> Iterator[Bench]:
    made = Bench(outbox, clock)
    with made.loading:
        yield made
