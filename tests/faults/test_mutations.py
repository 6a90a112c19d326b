"""Real servers whose answers are mutated on the way, through the real drivers: every outcome is a reading, a loss that is
counted, or a lost connection; nothing holds the loop, and nothing grows. `make faults` does it longer, with new dice each time.
"""

from __future__ import annotations

import asyncio
import os
import random
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from gateway import registry
from gateway.contract import Batch, NotConnected, Outcome, Quality
from gateway.testkit.checks.peers import running
from gateway.testkit.contexts import source_context, uplink_context
from gateway.testkit.rigs import event
from gateway.testkit.servers.https import Receiver
from gateway.testkit.servers.modbus_relay import Relay
from gateway.testkit.servers.opcua import OpcuaServer

LIVES = int(os.environ.get("LINESIDE_LIVES", "12"))
SEED = int(os.environ.get("LINESIDE_SEED", "20270115"))
LIFE_SECONDS = 0.6
HELD_SECONDS = 3.0
GROWN_MEGABYTES = 120
_EXTREMES = [struct.pack("<I", n) for n in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 5_000_000, 65_536)] + [
    b"\xff",
    b"\x80",
    b"\x00",
    b"\x7f",
]
_NUMBERS = [b"-1", b"999999999999", b"1e999", b"\xff\xfe", b"{", b"[" * 3000, b"\r\n", b'"', b"NaN"]


def mutations(dice: random.Random, share: float) -> Callable[[bytes], bytes]:
    """Mostly in place, so that what surrounds it is still understood; sometimes cut, doubled or grown."""

    def mangle(data: bytes) -> bytes:
        if dice.random() > share:
            return data
        found = bytearray(data)
        for _ in range(dice.choice((1, 1, 1, 2, 4, 16))):
            at = dice.randrange(len(found)) if found else 0
            kind = dice.random()
            if kind < 0.35 and found:
                found[at] ^= 1 << dice.randrange(8)
            elif kind < 0.8:
                what = dice.choice(_EXTREMES)
                found[at : at + len(what)] = what
            elif kind < 0.88:
                found[at:at] = dice.choice(_NUMBERS)
            elif kind < 0.94:
                found[at:at] = found[at : at + dice.randrange(200)]
            else:
                del found[at:]
        return bytes(found)

    return mangle


class Watch:
    """How long the loop was held at most, and by how much the process grew."""

    def __init__(self) -> None:
        self.held = 0.0
        self._before = _resident()

    @property
    def grown(self) -> float:
        return (_resident() - self._before) / 1e6

    async def run(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.02)
            self.held = max(self.held, time.monotonic() - before)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def modbus() -> AsyncIterator[tuple[int, Callable[[int], Any], Any]]:
    rig = import_module("gateway.testkit.rigs.modbus").Rig()
    async with running(rig):
        yield rig._plc.port, rig._build, rig.stimulate


@asynccontextmanager
async def opcua() -> AsyncIterator[tuple[int, Callable[[int], Any], Any]]:
    server = OpcuaServer({"load": 41.5, "speed": 1500, "door": True, "program": "O1234", "list": [1.0, 2.0, 3.0]})
    plugin, count = registry.source("opcua"), 0

    def build(port: int) -> Any:
        tags = {name: {"node": OpcuaServer.node(name)} for name in ("load", "speed", "door", "program", "missing")}
        options = {"opcua": f"opc.tcp://127.0.0.1:{port}", "publishing": "20ms", "sampling": "10ms", "timeout": "1s"}
        records = {"alarms": {"events": "i=2253"}}
        tags["item"] = {"node": OpcuaServer.node("list"), "index": 1}  # type: ignore[dict-item]
        return plugin.build(plugin.options.model_validate(options), source_context(plugin, tags, records=records))

    async def stimulate() -> None:
        nonlocal count
        count += 1
        await server.set("load", float(count))
        await server.set("program", f"O{count}")

    await server.start()
    try:
        yield int(server.url.split("/")[2].rpartition(":")[2]), build, stimulate
    finally:
        await server.stop()


def _broker(name: str) -> Any:
    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple[int, Callable[[int], Any], Any]]:
        rig = import_module(f"gateway.testkit.rigs.{name}").Rig()
        async with running(rig):
            yield int(rig._broker.url.rpartition(":")[2]), lambda port: rig._build(f"mqtt://127.0.0.1:{port}"), rig.stimulate

    return opened


SOURCES = {"modbus": modbus, "opcua": opcua, "mqtt": _broker("mqtt"), "sparkplug": _broker("sparkplug")}


async def _life(source: Any, stimulate: Any, seen: set[str]) -> None:
    """Connects and reads for a moment; whatever is raised but NotConnected is a finding."""
    try:
        async with asyncio.timeout(LIFE_SECONDS):
            await source.connect()
            while True:
                await stimulate()
                got = await source.read()
                for item in got if isinstance(got, list) else [got]:
                    seen.add(type(item).__name__)
                    if isinstance(item, Batch):
                        assert {*item.quality.tolist()} <= {int(quality) for quality in Quality}
    except NotConnected:
        seen.add("NotConnected")
    except TimeoutError:
        seen.add("time is over")
    finally:
        async with asyncio.timeout(10):
            await source.close()


@pytest.mark.timeout(60 + 5 * LIVES)
@pytest.mark.parametrize("name", SOURCES)
async def test_a_source_survives_mutated_answers_and_reads_again(name: str, caplog: pytest.LogCaptureFixture) -> None:
    dice, seen = random.Random(f"{SEED} {name}"), set[str]()
    async with SOURCES[name]() as (port, build, stimulate), Relay(port) as relay:
        source = build(relay.port)
        await _life(source, stimulate, seen)  # what is imported and made once
        watch = Watch()
        watching = asyncio.create_task(watch.run())
        for _ in range(LIVES):
            relay.mangle = mutations(dice, dice.choice((0.02, 0.1, 0.5)))
            await _life(source, stimulate, seen)
        relay.mangle = None
        watching.cancel()
        assert not [record.getMessage() for record in caplog.records if record.name == "asyncio"], "something is left to nobody"
        assert watch.held < HELD_SECONDS
        assert watch.grown < GROWN_MEGABYTES
        assert "Batch" in seen
        assert "NotConnected" in seen
        await source.connect()
        await stimulate()
        async with asyncio.timeout(20):
            while not await source.read():
                pass
        await source.close()


@asynccontextmanager
async def nats() -> AsyncIterator[tuple[int, Callable[[int], Any]]]:
    rig = import_module("gateway.testkit.rigs.nats").Rig()
    async with running(rig):
        yield int(rig._server.url.rpartition(":")[2]), lambda port: rig._build(f"nats://127.0.0.1:{port}")


@asynccontextmanager
async def https() -> AsyncIterator[tuple[int, Callable[[int], Any]]]:
    plugin = registry.uplink("https")

    def build(port: int) -> Any:
        options = {"https": f"http://127.0.0.1:{port}/events", "timeout": "1s", "mode": "batch"}
        return plugin.build(plugin.options.model_validate(options), uplink_context())

    async with Receiver() as receiver:
        yield int(receiver.url.split("/")[2].rpartition(":")[2]), build


@pytest.mark.timeout(60 + 5 * LIVES)
@pytest.mark.parametrize("opened", [nats, https])
async def test_an_uplink_survives_mutated_answers_and_sends_again(opened: Any, caplog: pytest.LogCaptureFixture) -> None:
    dice, kinds, number = random.Random(f"{SEED} {opened.__name__}"), set[str](), 0
    async with opened() as (port, build), Relay(port) as relay:
        watch = Watch()
        watching = asyncio.create_task(watch.run())
        for _ in range(LIVES):
            relay.mangle = mutations(dice, dice.choice((0.05, 0.3, 0.8)))
            uplink = build(relay.port)
            try:
                async with asyncio.timeout(30):
                    await uplink.connect()
                    for _ in range(5):
                        number += 2
                        outcomes = await uplink.send([event(number), event(number + 1)])
                        assert all(isinstance(outcome, Outcome) for outcome in outcomes)
                        assert len(outcomes) == 2
                        kinds |= {outcome.kind.name for outcome in outcomes}
            except NotConnected:
                kinds.add("NotConnected")
            finally:
                async with asyncio.timeout(10):
                    await uplink.close()
        relay.mangle = None
        watching.cancel()
        assert not [record.getMessage() for record in caplog.records if record.name == "asyncio"], "something is left to nobody"
        assert watch.held < HELD_SECONDS
        assert watch.grown < GROWN_MEGABYTES
        assert "SENT" in kinds
        uplink = build(relay.port)
        await uplink.connect()
        assert [outcome.kind.name for outcome in await uplink.send([event(number + 10)])] == ["SENT"]
        await uplink.close()
