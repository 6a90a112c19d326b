"""Verdicts over a real nats-server: on disk before they are acknowledged, kept once, taken in at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway import registry
from gateway.clock import SystemClock
from gateway.contract import Feedback, Judgement, NotConnected, Verdict
from gateway.feedback.edge import run_feedback
from gateway.feedback.lessons import Lessons
from gateway.outbox import labels
from gateway.outbox.store import Outbox
from gateway.telemetry.counts import Counts
from gateway.telemetry.status import Link, Status
from gateway.testkit.clock import FakeClock
from gateway.testkit.contexts import uplink_context
from gateway.testkit.servers.nats import NatsServer

SUBJECT = "fb.v1.test.test-gw"
Build = Callable[[], Feedback]


class Edge:
    """`run_feedback` at work, with what it tells."""

    def __init__(self, outbox: Outbox, build: Build, loading: Executor, wake: Callable[[], None], clock: Any = None) -> None:
        self.clock = clock or SystemClock()
        self.status, self.counts = Status(self.clock), Counts()
        self.link: Link = self.status.add("destination", "crm")
        run = run_feedback(
            build,
            outbox,
            "crm",
            self.link,
            clock=self.clock,
            status=self.status,
            counts=self.counts,
            wake=wake,
            loading=loading,
        )
        self.task = asyncio.create_task(run)

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


@pytest.fixture
def loading() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path) as running:
        await running.create_stream("FB", "fb.v1.>")
        yield running


def over_nats(url: str) -> Build:
    def build() -> Feedback:
        plugin = registry.uplink("nats")
        options = plugin.options.model_validate({"nats": url, "stream": "EVENTS", "timeout": "2s", "feedback": True})
        found = plugin.feedback(options, uplink_context())
        assert found is not None
        return found

    return build


async def publish(server: NatsServer, *messages: dict[str, str]) -> None:
    client = await server.client()
    for message in messages:
        await client.publish(SUBJECT, json.dumps(message).encode())
    await client.flush()
    await client.close()


def message(identity: str, of: str = "inc-1", verdict: str = "False alarm") -> dict[str, str]:
    return {"id": identity, "incident": of, "verdict": verdict, "at": "2027-01-15T08:00:00Z", "by": "Eva", "case": "00012345"}


async def unacknowledged(server: NatsServer) -> int:
    client = await server.client()
    info = await client.jetstream().consumer_info("FB", "lineside-test-gw")
    await client.close()
    return int(info.num_pending + info.num_ack_pending)


async def all_acknowledged(server: NatsServer) -> None:
    async with asyncio.timeout(10):
        while await unacknowledged(server):  # noqa: ASYNC110  the server has no event for it
            await asyncio.sleep(0.01)


async def test_a_verdict_on_the_wire_reaches_the_detector_and_is_acknowledged(
    outbox: Outbox, server: NatsServer, loading: Executor, made: Any, until: Any
) -> None:
    watch = made.watch(step=0.1, at_most=0.25)
    lessons = Lessons(outbox, SystemClock(), lambda: [watch], poll_seconds=600)
    learning = asyncio.create_task(lessons.run())
    edge = Edge(outbox, over_nats(server.url), loading, lessons.wake)
    try:
        await until(lambda: edge.link.state == "up")
        await publish(server, message("v1"), message("v1"), message("v2", "inc-of-another-gateway", "maintenance"))
        await until(lambda: len(watch.detector.heard) == 2)
        assert made.heard(watch) == [("m1", made.CONDITION, 1.1), made.label(Judgement.FALSE_ALARM)]
        await all_acknowledged(server)
        rows = await outbox.run(lambda connection: labels.recent(connection, 9))
        told = [(row.id, row.origin, row.by, row.case_number, row.machine) for row in rows]
        assert told == [("v2", "crm", "Eva", "00012345", ""), ("v1", "crm", "Eva", "00012345", "m1")]
        assert edge.counts.total("verdicts", destination="crm", judgement="false_alarm") == 1
    finally:
        learning.cancel()
        await asyncio.wait([learning])
        await edge.end()


async def test_what_was_not_on_disk_is_not_acknowledged_and_comes_again(
    outbox: Outbox, server: NatsServer, loading: Executor, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes nothing while a verdict comes; the gateway ends; its next run has it."""
    insist, asked = outbox.insist, asyncio.Event()

    async def never(*_: Any) -> Any:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(outbox, "insist", never)
    first = Edge(outbox, over_nats(server.url), loading, lambda: None)
    await until(lambda: first.link.state == "up")
    await publish(server, message("v1"))
    await asyncio.wait_for(asked.wait(), 5)
    await first.end()
    assert await unacknowledged(server) == 1
    assert await outbox.run(lambda connection: labels.recent(connection, 9)) == []
    monkeypatch.setattr(outbox, "insist", insist)
    client = await server.client()  # instead of waiting for the consumer's ack_wait of a minute
    await client.jetstream().delete_consumer("FB", "lineside-test-gw")
    await client.close()
    woken = asyncio.Event()
    second = Edge(outbox, over_nats(server.url), loading, woken.set)
    try:
        await asyncio.wait_for(woken.wait(), 10)
        assert [row.id for row in await outbox.run(lambda connection: labels.recent(connection, 9))] == ["v1"]
        await all_acknowledged(server)
    finally:
        await second.end()


async def test_a_server_that_is_away_is_told_and_connected_to_again(
    outbox: Outbox, server: NatsServer, loading: Executor, until: Any, clock: FakeClock
) -> None:
    woken = asyncio.Event()
    edge = Edge(outbox, over_nats(server.url), loading, woken.set, clock)
    try:
        await until(lambda: edge.link.state == "up")
        await server.stop()
        await until(lambda: edge.link.state == "down")
        assert edge.link.losses == 1
        await server.start()
        await publish(server, message("v1"))
        async with asyncio.timeout(10):
            while not woken.is_set():
                await clock.advance(60)
                await asyncio.sleep(0.02)
        assert edge.link.state == "up"
    finally:
        await edge.end()


async def test_it_is_closed_whatever_ends_it(outbox: Outbox, loading: Executor, made: Any, clock: FakeClock, until: Any) -> None:
    """Reading again is the acknowledgement: it is only done when what was read is on disk."""
    said: list[str] = []

    class Spoken:
        async def connect(self) -> None:
            said.append("connect")

        async def read(self) -> list[Verdict]:
            rows = await outbox.run(lambda connection: labels.recent(connection, 9))
            said.append(f"read, {len(rows)} on disk")
            if rows:
                raise NotConnected("peer", "gone")
            return [made.verdict("v1")]

        async def close(self) -> None:
            said.append("close")

    edge = Edge(outbox, Spoken, loading, lambda: said.append("wake"), clock)
    await until(lambda: edge.link.state == "down")
    await edge.end()
    assert said == ["connect", "read, 0 on disk", "wake", "read, 1 on disk", "close"]
