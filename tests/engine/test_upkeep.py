"""What is done by the clock."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway import heap
from gateway.engine.upkeep import Upkeep


class Nothing:
    """Outbox, lanes, wear and a clock that ends after 62 minutes."""

    refused = False
    minutes = 0

    def look(self) -> None: ...

    async def save(self, *_args: Any, **_named: Any) -> None: ...

    async def tidy(self, *_args: Any, **_named: Any) -> None: ...

    async def keep_to_caps(self) -> None: ...

    def now_ns(self) -> int:
        return 0

    async def sleep(self, _seconds: float) -> None:
        self.minutes += 1
        if self.minutes > 62:
            raise asyncio.CancelledError


async def test_memory_goes_back_each_minute_and_garbage_each_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    one: Any = Nothing()
    done: list[tuple[str, int]] = []
    monkeypatch.setattr(heap, "give_back", lambda: done.append(("give back", one.minutes)))
    monkeypatch.setattr(heap, "settle", lambda: done.append(("settle", one.minutes)))
    with ThreadPoolExecutor(1) as files, pytest.raises(asyncio.CancelledError):
        await Upkeep(one, one, one, list, wear=one, files=files, clock=one).run()
    assert [minute for what, minute in done if what == "give back"] == list(range(1, 63))
    assert [minute for what, minute in done if what == "settle"] == [1, 61]
