"""Rows of the page: who crowds it."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from contextlib import suppress

from rig.plant import Plant
from rig.probe import Probe, high
from rig.run import Run, until
from rig.table import row

CONNECTIONS = 1000


class Crowd:
    """Connections to the page that are not let go by us. `alive`: how many the daemon has not closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def alive(self) -> int:
        return len(self._open)

    async def come(self, count: int, said: bytes = b"") -> None:
        for _ in range(count):
            try:
                reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self._port), 5)
            except (OSError, TimeoutError):
                continue
            writer.write(said)
            watching = asyncio.create_task(_until_closed(reader))
            self._open[watching] = writer
            watching.add_done_callback(self._closed)

    async def dribble(self, seconds: float, piece: bytes) -> None:
        """A piece of a head to each, once a second."""
        until_then = time.monotonic() + seconds
        while time.monotonic() < until_then:
            for writer in self._open.values():
                writer.write(piece)
            await asyncio.sleep(1)

    def leave(self) -> None:
        for writer in list(self._open.values()):
            writer.transport.abort()

    def _closed(self, watching: asyncio.Task[None]) -> None:
        self._open.pop(watching).transport.abort()


async def _until_closed(reader: asyncio.StreamReader) -> None:
    with suppress(OSError):
        while await reader.read(65536):
            pass


@row(
    37,
    "1,000 connections, slow heads and huge heads on the page",
    expected="orders as fast as ever (p99 at most 4 times that of before, or 0.5 s); PLC and CRM reconnect within 15 s; 80 MB more; lost 0",
)
async def crowded(run: Run) -> None:
    async with Plant(run) as plant:
        plant.daemon.prefix = ["prlimit", "--nofile=1024:1024"]  # what systemd gives to a service that asks for nothing
        await plant.start()
        await plant.arrived(20)
        async with Probe(plant) as probe:
            usual, before = high(await probe.times(80)), plant.daemon.peaks.rss_mb
            crowd = Crowd(plant.daemon.port)
            await crowd.come(CONNECTIONS, b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            dribbling = asyncio.create_task(crowd.dribble(8, b"a"))
            await shouted(run, plant)
            times = await probe.times(150)
            await plant.crm.stop()  # both have to connect anew, and need descriptors for it
            await plant.plc.stop()
            await plant.plc.start()
            await plant.crm.start()
            served = plant.plc.served
            await plant.recovered(15)
            await until(lambda: plant.plc.served > served, 15, "the PLC is read again")
            await dribbling
            run.note(p99_ms=round(1000 * high(times)), p99_ms_usual=round(1000 * usual), still_open=crowd.alive)
            crowd.leave()
        run.check(high(times) <= max(4 * usual, 0.5), f"p99 of an order {high(times):.2f} s, usually {usual:.2f} s")
        run.check(not probe.undone, f"{probe.undone} orders were not answered 202")
        grown = plant.daemon.peaks.rss_mb - before
        run.check(grown <= 80, f"{grown:.0f} MB more than before")
        await until(lambda: _answers(plant), 15, "the page answering again")
        await plant.settle()


def _answers(plant: Plant) -> bool:
    try:
        with urllib.request.urlopen(f"{plant.daemon.url}/healthz", timeout=3) as reply:
            return int(reply.status) == 200
    except OSError:
        return False


async def shouted(run: Run, plant: Plant) -> None:
    """Heads of a megabyte: one line of it, and 20,000 lines; refused, not kept."""
    for head in (b"X-Huge: " + b"a" * 1_000_000, b"\r\n".join(b"X-%d: a" % number for number in range(20_000))):
        said = await raw(plant, b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n")
        status = said[9:12]
        run.check(status in (b"", b"400", b"413", b"431"), f"a huge head was answered {said[:60]!r}")


async def raw(plant: Plant, request: bytes, seconds: float = 5.0) -> bytes:
    """What the page answers to these bytes; empty: it hung up."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", plant.daemon.port)
            try:
                writer.write(request)
                with suppress(OSError):
                    await writer.drain()
                return await reader.read(65536)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return b""


@row("37b", "slow heads on the page", expected="a connection whose head does not come is closed within 60 s", ci=False)
async def slow_heads(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        await plant.arrived(20)
        crowd = Crowd(plant.daemon.port)
        await crowd.come(20, b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        dribbling = asyncio.create_task(crowd.dribble(60, b"a"))
        try:
            took = await until(lambda: not crowd.alive, 60, "20 slow heads closed")
            run.note(closed_after_seconds=round(took, 1))
        except AssertionError as exc:
            run.check(False, str(exc))
        dribbling.cancel()
        crowd.leave()
        await plant.settle()
