"""Ending what runs at the edges."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import edges
from gateway.contract import ConfigError
from gateway.telemetry.status import Status
from gateway.testkit.clock import FakeClock


async def test_who_never_ends_is_told_and_left_behind(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A driver that hangs in its `close` must not keep what was found from being committed."""
    caplog.set_level(logging.WARNING, "lineside")
    monkeypatch.setattr(edges, "_PATIENCE_SECONDS", 0.01)
    free = asyncio.Event()

    async def stubborn() -> None:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    async def obedient() -> None:
        await asyncio.Event().wait()

    hung, fine = asyncio.create_task(stubborn(), name="source press-07"), asyncio.create_task(obedient())
    await asyncio.sleep(0)
    await asyncio.wait_for(edges._end([hung, fine]), 2.0)
    assert fine.cancelled()
    assert not hung.done()
    assert {record.fields["task"] for record in caplog.records} == {"source press-07"}  # type: ignore[attr-defined]
    free.set()
    await hung


async def test_a_last_send_has_a_traceback_only_for_what_nobody_foresaw(caplog: pytest.LogCaptureFixture) -> None:
    missing, bug = ConfigError("secret crm-token: no such file"), ZeroDivisionError("division by zero")
    status = Status(FakeClock())
    parts: dict[str, Any] = dict.fromkeys(
        ("pipeline", "outbox", "clock", "counts", "losses", "secret", "loading", "summarise", "learn", "devices", "ingest")
    )
    async with asyncio.TaskGroup() as tasks:
        all_edges = edges.Edges(tasks, status=status, **parts)
        for name, error in (("crm", missing), ("mes", bug)):
            done: asyncio.Task[None] = tasks.create_task(asyncio.sleep(0))
            all_edges._verdicts[name] = done
            all_edges.senders[name] = SimpleNamespace(), done, status.add("destination", name), _Failing(error)  # type: ignore[assignment]
        await all_edges.last_send(1.0)
    told = [(record.fields["why"], record.exc_info and record.exc_info[1]) for record in caplog.records]  # type: ignore[attr-defined]
    assert told == [("secret crm-token: no such file", None), ("division by zero", bug)]


class _Failing:
    """A sender whose last send raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def drain(self, deadline_seconds: float) -> None:
        raise self._error
