"""Ending what runs at the edges."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gateway import edges


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
