"""A driver that computes for ever inside the gateway's own process is interrupted; the core never is."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.contract import Batch
from gateway.engine.inbox import Inbox
from gateway.engine.pump import run_source
from gateway.stall import SOURCE, Guard, Stalled, interruptible
from gateway.telemetry.counts import Counts
from gateway.telemetry.status import Status


class Looping:
    """Reads twice, loops for ever once, then reads on."""

    def __init__(self, loop: Callable[[], Awaitable[None]]) -> None:
        self._loop, self.reads, self.connects = loop, 0, 0

    async def connect(self) -> None:
        self.connects += 1

    async def read(self) -> Batch:
        self.reads += 1
        if self.reads == 3:
            await self._loop()
        await asyncio.sleep(0.001)
        return Batch.of(0, 0, 0)

    async def close(self) -> None: ...


async def plainly() -> None:
    while True:
        with suppress(Exception):  # as drivers do
            time.monotonic()


async def inside_the_library() -> None:
    while True:
        json.dumps(list(range(100)))


async def in_a_task_of_its_own() -> None:
    await asyncio.create_task(plainly())


async def in_a_callback() -> None:
    ended = asyncio.Event()

    def callback() -> None:
        try:
            while True:
                pass
        finally:
            ended.set()

    asyncio.get_running_loop().call_soon(callback)
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    await ended.wait()
    raise ConnectionError


def _run(main: Callable[[], Awaitable[None]], loop: str) -> None:
    if loop == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())  # type: ignore[arg-type]
    else:
        asyncio.run(main())  # type: ignore[arg-type]


@pytest.fixture
def loading() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("how", [plainly, inside_the_library, in_a_task_of_its_own, in_a_callback])
def test_a_source_that_loops_is_interrupted_and_read_again(
    how: Callable[[], Awaitable[None]], loop: str, loading: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    counts, clock = Counts(), SystemClock()
    looping = Looping(how)

    async def main() -> None:
        status = Status(clock)
        link = status.add("source", "press-07")
        inbox = Inbox("drop_oldest", wake=lambda: None, took=lambda _count: None, dropped=lambda *_: None)
        guard = asyncio.create_task(Guard(counts, seconds=0.2).run())
        running = asyncio.create_task(run_source(lambda: looping, inbox, link, clock=clock, status=status, loading=loading))
        async with asyncio.timeout(20):
            while looping.reads < 6:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for task in (running, guard):
            task.cancel()
        await asyncio.wait([running, guard])

    _run(main, loop)
    assert looping.connects == 2
    assert counts.total("source_interrupted", source="press-07") == 1
    stood = [record for record in caplog.records if record.message == "the loop stands still"]
    assert [record.fields["seconds"] for record in stood] == [0.2]  # type: ignore[attr-defined]
    assert how.__name__ in stood[0].fields["where"] or how in (in_a_callback, in_a_task_of_its_own)  # type: ignore[attr-defined]


async def test_what_belongs_to_no_source_is_told_and_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "lineside")
    counts = Counts()
    guard = asyncio.create_task(Guard(counts, seconds=0.1).run())
    await asyncio.sleep(0.05)
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        pass
    guard.cancel()
    await asyncio.wait([guard])
    assert "the loop stands still" in caplog.messages
    assert counts.as_dict() == {}


async def test_its_last_signal_finds_its_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised when the loop turns again and the guard is about to end."""
    handlers = []
    stopping = threading.Event()

    def late(_ident: int, number: int) -> None:
        stopping.wait(2)
        time.sleep(0.05)
        handlers.append(signal.getsignal(number))

    monkeypatch.setattr(signal, "pthread_kill", late)
    guard = asyncio.create_task(Guard(Counts(), seconds=0.1).run())
    await asyncio.sleep(0.05)
    time.sleep(0.4)  # noqa: ASYNC251  this is the stall
    guard.cancel()
    stopping.set()
    await asyncio.wait([guard])
    assert [getattr(each, "__name__", each) for each in handlers] == ["_interrupt"]
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL


def _through(*modules: str) -> bool:
    """Of a frame in the last module, called through the others from the pump."""
    scopes = []
    for module in modules:
        scope: dict[str, Any] = {"__name__": module, "judge": interruptible, "sys": sys}
        exec("def call(rest): return rest[0](rest[1:]) if rest else judge(sys._getframe())", scope)
        scopes.append(scope["call"])
    return bool(scopes[0](scopes[1:]))


def test_only_what_a_driver_runs_is_interrupted() -> None:
    assert _through("gateway.engine.pump", "drivers.acme.source")
    assert _through("gateway.engine.pump", "drivers.acme.source", "asyncua.ua")
    assert _through("gateway.engine.pump", "drivers.acme.source", "gateway.contract.items", "drivers.acme.source")
    assert not _through("gateway.engine.pump")
    assert not _through("gateway.engine.pump", "gateway.engine.inbox")
    assert not _through("gateway.engine.pump", "drivers.acme.source", "gateway.edges")
    assert not _through("gateway.engine.pump", "drivers.acme.source", "gateway.edges", "somebody.elses")


def test_the_standard_library_is_not_interrupted() -> None:
    seen = []

    class Watching(dict[str, int]):
        def __missing__(self, key: str) -> int:
            seen.append(interruptible(sys._getframe(1)))
            return 0

    import string

    string.Formatter().vformat("{x}", (), Watching())
    assert seen == [False]


def test_a_source_is_known_to_what_it_starts() -> None:
    async def child() -> str:
        return SOURCE.get()

    async def main() -> str:
        SOURCE.set("press-07")
        return await asyncio.create_task(child())

    assert asyncio.run(main()) == "press-07"
    assert SOURCE.get() == ""
    assert not issubclass(Stalled, Exception)
