"""Brings the verdicts of one destination: connects, reads, keeps, and acknowledges by reading again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from functools import partial

from gateway.contract import Clock, Feedback, NotConnected, Verdict
from gateway.outbox import labels
from gateway.outbox.store import Outbox
from gateway.supervisor import supervise
from gateway.telemetry.counts import Counts
from gateway.telemetry.status import Link, Status

CONNECT_SECONDS = 30.0
"""For one that does not keep its own deadline."""


async def run_feedback(
    build: Callable[[], Feedback],
    outbox: Outbox,
    name: str,
    link: Link,
    *,
    clock: Clock,
    status: Status,
    counts: Counts,
    wake: Callable[[], None],
    loading: Executor,
) -> None:
    """For as long as the configuration wants verdicts from this destination.

    name      the destination's: the `origin` of its labels
    wake      told when there are new ones on disk
    loading   where it is built: its library may take seconds to import
    """
    built: list[Feedback] = []

    async def keep(verdicts: Sequence[Verdict]) -> None:
        new = await outbox.insist(partial(labels.add, verdicts=verdicts, origin=name, now_ns=clock.now_ns()))
        for row in new:
            counts.add("verdicts", 1, destination=name, judgement=row.judgement)
        if new:
            wake()

    async def one_life() -> None:
        if not built:
            built.append(await asyncio.get_running_loop().run_in_executor(loading, build))
        await _bring(built[0], link, status, keep)

    await supervise(link, one_life, clock, status)


async def _bring(feedback: Feedback, link: Link, status: Status, keep: Callable[[Sequence[Verdict]], Awaitable[None]]) -> None:
    """One life of a connection: ends with the error that ended it."""
    try:
        await _connect(feedback, link)
        status.up(link)
        while True:
            await keep(await feedback.read())
    finally:
        await feedback.close()


async def _connect(feedback: Feedback, link: Link) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS) as deadline:
            await feedback.connect()
    except TimeoutError as exc:
        if not deadline.expired():
            raise
        raise NotConnected(link.name, f"did not connect within {CONNECT_SECONDS:g} s") from exc
