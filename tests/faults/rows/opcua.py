"""Rows of OPC UA: answers that are bombs, and servers that come back as others."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from asyncua import ua

from gateway.testkit.servers.opcua import NAMESPACE, OpcuaServer
from rig import outbox
from rig.mangler import HEADER, Mangler
from rig.plant import Plant
from rig.probe import Probe, high
from rig.run import Run
from rig.table import row
from rows.mqtt import fresh, machine

HUGE = 0x7FFFFFFF
OVERFLOW = 0x0480
"""Good, of a value, and the bit that older ones were thrown away (Part 4, 7.39)."""
DEEP, BELIEVABLE = 20_000, 30_000_000
READ_RESPONSE, RESPONSE_HEADER = b"\x01\x00\x7a\x02", 28
"""Its type, and where its results begin when nothing is said in its header (Part 4, 5.10.2 and 7.33)."""
SESSION_RESPONSE = b"\x01\x00\xd0\x01"
"""The first of a new session (CreateSession)."""


def sized(head: bytes, body: bytes) -> bytes:
    """A chunk whose announced size is true."""
    whole = head + body
    return whole[:4] + struct.pack("<I", len(whole)) + whole[8:]


class Hostile:
    """Changes every second chunk, each time in another way. Some sessions come as far as a read: few would by themselves."""

    def __init__(self, dice: random.Random) -> None:
        self._dice, self._number, self.bombs = dice, 0, 0
        self._spares = False

    def __call__(self, chunk: bytes) -> bytes:
        self._number += 1
        kind = chunk[HEADER : HEADER + 4]
        if kind == SESSION_RESPONSE:
            self._spares = self._dice.random() < 0.4
        if kind == READ_RESPONSE and (self._spares or self._dice.random() < 0.5):
            self._spares = False
            return self._read(chunk[:HEADER], chunk[HEADER:])
        if self._number % 2 or self._spares:
            return chunk
        kinds: list[Callable[[bytes, bytes], bytes]] = [self._length, self._array, self._nested, self._cut, self._announced, self._noise]
        return self._dice.choice(kinds)(chunk[:HEADER], chunk[HEADER:])

    def _length(self, head: bytes, body: bytes) -> bytes:
        """Some length in it is two thousand million."""
        at = self._dice.randrange(max(1, len(body) - 4))
        return head + body[:at] + struct.pack("<i", HUGE)[: len(body) - at] + body[at + 4 :]

    def _array(self, head: bytes, body: bytes) -> bytes:
        """The last bytes are an array of two thousand million elements of no type, of bytes, or of variants."""
        bomb = bytes([self._dice.choice([0x80, 0x83, 0x98, 0xC0])]) + struct.pack("<i", HUGE)
        return sized(head, body[: -len(bomb)] + bomb)

    def _read(self, head: bytes, body: bytes) -> bytes:
        """One value: an array of elements that take no bytes at all. Fewer than there may be: whoever believes it would take us along."""
        self.bombs += 1
        return sized(head, body[:RESPONSE_HEADER] + struct.pack("<iBBi", 1, 0x01, 0x80, BELIEVABLE))

    def _nested(self, head: bytes, body: bytes) -> bytes:
        """Variants in variants, or diagnostics in diagnostics."""
        deep = b"\x98\x01\x00\x00\x00" * DEEP if self._dice.random() < 0.5 else b"\x40" * DEEP
        return sized(head, body[: self._dice.randrange(len(body))] + deep)

    def _cut(self, head: bytes, body: bytes) -> bytes:
        return sized(head, body[: self._dice.randrange(len(body))])

    def _announced(self, head: bytes, body: bytes) -> bytes:
        """A chunk of four gigabytes."""
        return head[:4] + struct.pack("<I", 0xFFFFFFF0) + head[8:] + body

    def _noise(self, head: bytes, body: bytes) -> bytes:
        return head + bytes(byte ^ 0xFF if self._dice.random() < 0.1 else byte for byte in body)


def source(port: int) -> dict[str, Any]:
    tags = {"load": {"path": "Objects/Machine/load"}, "speed": {"node": f"nsu={NAMESPACE};s=speed"}}
    return {"source": {"opcua": f"opc.tcp://127.0.0.1:{port}/lineside", "lost_after": "1h"}, "tags": tags}


async def ticking(server: OpcuaServer) -> None:
    """A value that is always new."""
    number = 0
    while True:
        number += 1
        for name in ("load", "speed"):
            await server.set(name, float(number))
        await asyncio.sleep(0.1)


@row(
    35,
    "OPC UA answers with arrays of 2^31 elements, variants 20,000 deep, chunks of 4 GB, cut or garbled",
    expected="given up: p99 of orders at most 4 times that of before, or 0.5 s; good again within 20 s; lost 0",
    count=8,
    night=300,
    limit=180,
)
async def hostile(run: Run) -> None:
    async with OpcuaServer({"load": 1.0, "speed": 1.0}) as server, Mangler(server.port) as wire, Plant(run) as plant:
        tick = asyncio.create_task(ticking(server))
        plant.config["machines"]["cnc"] = source(wire.port)
        try:
            await plant.start()
            await plant.arrived(5)
            await fresh(run, plant, "cnc", "load", 20)
            async with Probe(plant) as probe:
                usual, before = high(await probe.times(100)), plant.daemon.peaks.rss_mb
                wire.mangle = mangle = Hostile(run.dice)
                times: list[float] = []
                began = asyncio.get_running_loop().time()
                while (wire.mangled < 2 * run.count or mangle.bombs < 2) and asyncio.get_running_loop().time() < began + run.row.limit / 3:
                    times += await probe.times(20)
                times.sort()
            run.note(
                chunks=wire.mangled,
                bombs=mangle.bombs,
                connections=wire.connections,
                p99_ms=round(1000 * high(times)),
                p99_ms_usual=round(1000 * usual),
            )
            run.check(wire.mangled >= 2 * run.count and mangle.bombs, f"only {wire.mangled} answers passed the wire, {mangle.bombs} bombs")
            run.check(plant.daemon.alive, f"it ended: {plant.daemon.tail()[-300:]}")
            run.check(high(times) <= max(4 * usual, 0.5), f"p99 of an order {high(times):.2f} s, usually {usual:.2f} s")
            run.check(plant.daemon.peaks.rss_mb - before <= 120, f"{plant.daemon.peaks.rss_mb - before:.0f} MB more than before")
            wire.mangle = None
            await fresh(run, plant, "cnc", "load", 20)
            await plant.recovered(10)
            await plant.settle()
        finally:
            tick.cancel()


class Moved(OpcuaServer):
    """The same names at other node ids, as after an engineer has downloaded the project anew."""

    async def add(self, name: str, value: object) -> None:
        assert self._parent is not None
        namespace = self._parent.nodeid.NamespaceIndex
        identifier = name if name == "speed" else 70_000 + len(self._nodes)
        self._nodes[name] = await self._parent.add_variable(ua.NodeId(identifier, namespace), ua.QualifiedName(name, namespace), value)


@row(
    "35b",
    "OPC UA values of bad status, sessions lost, the server restarted with other node ids",
    expected="bad by its status, never the value beside it; good again within 20 s; what was lost stands in the ledger; lost 0",
)
async def reborn(run: Run) -> None:
    first = OpcuaServer({"load": 1.0, "speed": 1.0})
    await first.start()
    second: OpcuaServer = Moved({"load": 1.0, "speed": 1.0})
    second.port = first.port
    try:
        async with Plant(run) as plant:
            plant.config["machines"]["cnc"] = source(first.port)
            await plant.start()
            await plant.arrived(5)
            await statuses(run, plant, first)
            await overflowed(run, plant, first)
            await during(first, lambda: fresh(run, plant, "cnc", "load", 20))
            for session in list(first.server.iserver._external_sessions.values()):
                await session.close_session(True)
            await during(first, lambda: fresh(run, plant, "cnc", "load", 20))
            await first.stop()
            known = len([line for line in plant.daemon.lines("lost") if line.get("source") == "cnc"])
            run.check(known >= 1, "the loss of the server is not in the log")
            await second.start()
            for name in ("load", "speed"):
                await during(second, lambda name=name: fresh(run, plant, "cnc", name, 30))  # type: ignore[misc]
            await plant.recovered(10)
            await plant.settle()
            run.check(await told(plant), "no line of the ledger tells that cnc was away")
    finally:
        await first.stop()
        await second.stop()


async def during(server: OpcuaServer, work: Callable[[], Awaitable[None]]) -> None:
    tick = asyncio.create_task(ticking(server))
    try:
        await work()
    finally:
        tick.cancel()


async def statuses(run: Run, plant: Plant, server: OpcuaServer) -> None:
    for name, code in (
        ("BadSensorFailure", ua.StatusCodes.BadSensorFailure),
        ("BadCommunicationError", ua.StatusCodes.BadCommunicationError),
    ):
        await server.set("load", 999.0, status=code)
        found: dict[str, Any] = {}
        for _ in range(50):
            found = (await machine(plant, "cnc"))["load"]
            if found["quality"] not in ("good", "uncertain"):
                break
            await asyncio.sleep(0.1)
        run.check(found["quality"] not in ("good", "uncertain"), f"{name}: {found['quality']}")
        run.check(found["value"] != 999.0, f"{name}: the value beside it was taken")


async def overflowed(run: Run, plant: Plant, server: OpcuaServer) -> None:
    """The server's queue was too short, and it says so beside a good value."""
    await server.set("load", 5.0, status=OVERFLOW)
    found: dict[str, float] = {}
    for _ in range(50):
        found = await plant.daemon.metrics()
        if found.get("readings_dropped{reason=server_queue_full,source=cnc}"):
            return
        await asyncio.sleep(0.1)
    run.check(False, "values the server lost are not counted")


async def told(plant: Plant) -> bool:
    return any(line.get("name") == "cnc" for line in (await outbox.ledger(plant.state))["lines"])
