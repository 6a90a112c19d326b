"""The only retry loop: patient, jittered, told once; and the pump it drives."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway.contract import Batch, ConfigError, EndOfSource, NotConnected, Record
from gateway.engine import pump as pump_module
from gateway.engine.inbox import Inbox
from gateway.engine.pump import pump, run_source
from gateway.supervisor import LONGEST_SECONDS, Backoff, supervise
from gateway.telemetry.status import Link, Status
from gateway.testkit.clock import FakeClock


class Edge:
    """Something supervised whose lives go as scripted: an error to raise, or seconds to live before it."""

    def __init__(self, *lives: Any) -> None:
        self.clock = FakeClock()
        self.status = Status(self.clock)
        self.link: Link = self.status.add("source", "press-07")
        self.lives, self.started = list(lives), list[float]()

    async def run(self) -> None:
        self.started.append(self.clock.monotonic())
        life = self.lives.pop(0) if self.lives else NotConnected("10.1.4.7:502", "connection refused")
        if isinstance(life, float):
            self.status.up(self.link)
            await self.clock.sleep(life)
            life = NotConnected("10.1.4.7:502", "lost")
        raise life

    async def supervised(self, seconds: float, longest: float = LONGEST_SECONDS) -> None:
        task = asyncio.create_task(supervise(self.link, self.run, self.clock, self.status, longest=longest))
        for _ in range(int(seconds * 10)):
            await self.clock.advance(0.1)
            if task.done():
                return task.result()
        task.cancel()
        await asyncio.wait([task])
        return None

    @property
    def waits(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.started, self.started[1:], strict=False)]


async def test_a_source_is_tried_again_within_four_seconds_however_often_it_failed() -> None:
    edge = Edge()
    await edge.supervised(120.0, longest=pump_module.RETRY_SECONDS)
    assert len(edge.waits) > 25
    assert max(edge.waits) <= 4.11


async def test_a_refused_login_is_tried_once_a_minute() -> None:
    edge = Edge(*[NotConnected("10.1.4.2:1883", "user edge or its password refused", login=True) for _ in range(9)])
    await edge.supervised(200.0, longest=pump_module.RETRY_SECONDS)
    assert all(59.9 <= wait <= 60.2 for wait in edge.waits)
    assert len(edge.waits) == 3


async def test_waits_grow_to_a_minute_and_no_further() -> None:
    edge = Edge()
    await edge.supervised(600.0)
    for n, wait in enumerate(edge.waits):
        ceiling = min(60.0, 0.5 * 2**n)
        assert 0.1 * ceiling - 0.01 <= wait <= ceiling + 0.11
    assert len(edge.waits) >= 12


async def test_a_stable_minute_starts_the_series_anew() -> None:
    edge = Edge(*[NotConnected("p", "x")] * 8, 61.0)
    await edge.supervised(400.0)
    after = edge.waits[9]
    assert after <= 0.5 + 0.11 + 61.1


async def test_an_end_of_source_is_the_end() -> None:
    edge = Edge(EndOfSource())
    await edge.supervised(5.0)
    assert edge.link.state == "ended"
    assert len(edge.started) == 1


async def test_told_once_when_lost_and_once_when_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lineside")
    edge = Edge(*[NotConnected("10.1.4.7:502", "connection refused")] * 6, 1000.0)
    await edge.supervised(200.0)
    assert [record.getMessage() for record in caplog.records] == ["lost", "back"]
    assert caplog.records[0].fields["peer"] == "10.1.4.7:502"  # type: ignore[attr-defined]
    assert edge.link.losses == 1


@pytest.mark.parametrize(("error", "trace"), [(ConfigError("secret x is not there"), False), (ZeroDivisionError("bug"), True)])
async def test_only_what_nobody_foresaw_has_a_traceback(error: Exception, trace: bool, caplog: pytest.LogCaptureFixture) -> None:
    edge = Edge(*[error] * 3)
    await edge.supervised(2.0)
    assert [record.getMessage() for record in caplog.records] == ["failed"]
    assert bool(caplog.records[0].exc_info) is trace
    assert edge.link.state == "down"


async def test_an_error_that_shows_while_the_peer_is_away_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    edge = Edge(NotConnected("10.1.4.7:502", "connection refused"), *[ZeroDivisionError("bug")] * 3)
    await edge.supervised(10.0)
    assert len(edge.started) >= 4
    assert [record.getMessage() for record in caplog.records] == ["lost", "failed"]
    assert caplog.records[1].exc_info
    assert edge.link.losses == 1


async def test_what_only_a_change_of_configuration_can_end_is_tried_once_a_minute() -> None:
    edge = Edge(*[ConfigError("secret x is not there")] * 3)
    await edge.supervised(130.0)
    assert [round(wait) for wait in edge.waits] == [60, 60]
    assert edge.link.why == "secret x is not there"


async def test_cancelling_ends_it_at_once() -> None:
    edge = Edge(1000.0)
    task = asyncio.create_task(supervise(edge.link, edge.run, edge.clock, edge.status))
    await edge.clock.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_the_jitter_is_never_nothing() -> None:
    backoff = Backoff(FakeClock())
    waits = [backoff.failed() for _ in range(200)]
    assert min(waits[10:]) >= 6.0
    assert len(set(waits)) == 200


class Finite:
    """A source of two batches that loses its peer between them, then ends."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._lives = 0

    async def connect(self) -> None:
        self.calls.append("connect")
        self._lives += 1

    async def read(self) -> list[Batch]:
        self.calls.append("read")
        if self.calls.count("read") == 2:
            raise NotConnected("p", "lost")
        if self.calls.count("read") == 4:
            raise EndOfSource
        return [Batch.of([0], [1], [float(self._lives)])]

    async def close(self) -> None:
        self.calls.append("close")


async def test_a_source_is_built_once_and_closed_after_each_life() -> None:
    clock = FakeClock()
    status, source, built, took = Status(clock), Finite(), list[int](), list[int]()
    link = status.add("source", "press-07")

    def build() -> Any:
        built.append(1)
        return source

    inbox = Inbox("drop_oldest", wake=lambda: None, took=took.append, dropped=lambda *given: None)
    with ThreadPoolExecutor(1) as loading:
        task = asyncio.create_task(run_source(build, inbox, link, clock=clock, status=status, loading=loading))
        async with asyncio.timeout(5):
            while not task.done():
                await clock.advance(1.0)
                await asyncio.sleep(0.002)
    assert built == [1]
    assert source.calls == ["connect", "read", "read", "close", "connect", "read", "read", "close"]
    assert [entry.item.value[0] for entry in inbox.take() if isinstance(entry.item, Batch)] == [1.0, 2.0]
    assert link.state == "ended"


class Endless(Finite):
    """Of records; waits after the third."""

    async def read(self) -> list[Any]:
        self.calls.append("read")
        if self.calls.count("read") == 4:
            await asyncio.Event().wait()
        return [Record(source="mes/step", t_ns=1, fields={}) for _ in range(2)]


async def stopping(source: Endless) -> tuple[asyncio.Task[None], Inbox]:
    """A pump that is told to end as soon as it has given something."""
    status, given = Status(FakeClock()), asyncio.Event()
    inbox = Inbox("drop_oldest", wake=given.set, took=lambda count: None, dropped=lambda *given: None)
    task = asyncio.create_task(pump(source, inbox, status.add("source", "mes"), status))
    await given.wait()
    task.cancel()
    await asyncio.sleep(0)
    return task, inbox


@pytest.mark.parametrize(
    ("arrived", "calls"),
    [
        pytest.param(2, ["connect", "read", "read", "close"], id="on disk while it stops"),
        pytest.param(1, ["connect", "read", "close"], id="not in time"),
    ],
)
async def test_what_comes_to_the_disk_while_a_source_stops_is_acknowledged(
    monkeypatch: pytest.MonkeyPatch, arrived: int, calls: list[str]
) -> None:
    monkeypatch.setattr(pump_module, "ACCEPTED_SECONDS", 5.0 if arrived == 2 else 0.01)
    task, inbox = await stopping(source := Endless())
    for entry in inbox.take()[:arrived]:
        assert entry.accepted is not None
        entry.accepted.set_result(None)
    await asyncio.wait([task], timeout=5)
    assert (task.cancelled(), source.calls) == (True, calls)


async def test_records_that_had_no_room_yet_are_not_acknowledged_at_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.engine.inbox.MAX_RECORDS", 1)
    task, inbox = await stopping(source := Endless())
    assert inbox.records == 1
    await asyncio.wait([task], timeout=5)
    assert source.calls == ["connect", "read", "close"]


async def test_a_driver_that_hangs_while_connecting_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hung(Finite):
        async def connect(self) -> None:
            await super().connect()
            await asyncio.Event().wait()

    monkeypatch.setattr(pump_module, "CONNECT_SECONDS", 0.01)
    clock, source = FakeClock(), Hung()
    status = Status(clock)
    link = status.add("source", "press-07")
    inbox = Inbox("drop_oldest", wake=lambda: None, took=lambda count: None, dropped=lambda *given: None)
    with ThreadPoolExecutor(1) as loading:
        task = asyncio.create_task(run_source(lambda: source, inbox, link, clock=clock, status=status, loading=loading))
        async with asyncio.timeout(5):
            while source.calls.count("connect") < 2:
                await clock.advance(1.0)
                await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.wait([task])
    assert source.calls[:3] == ["connect", "close", "connect"]
    assert link.why == "did not connect within 0.01 s"
