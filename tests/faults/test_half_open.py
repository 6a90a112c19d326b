"""A peer that is there and says nothing any more, and takes nothing: noticed within thirty seconds by every protocol, and read again.

Frozen: its program stands still. Dropped: the network swallows every packet in both directions; nftables does it, in a network of the
test's own, so that needs root.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import NotConnected, OutcomeKind
from gateway.testkit.checks.peers import running
from gateway.testkit.rigs import event
from gateway.testkit.servers.modbus_relay import Relay

NOTICED_SECONDS = 30.0
FAULTS = "LINESIDE_FAULTS" in os.environ
NETWORK = "LINESIDE_NETWORK_OF_ITS_OWN"
ADDRESSES = {
    "modbus": lambda port: port,
    "opcua": lambda port: f"opc.tcp://127.0.0.1:{port}",
    "mqtt": lambda port: f"mqtt://127.0.0.1:{port}",
    "sparkplug": lambda port: f"mqtt://127.0.0.1:{port}",
    "nats": lambda port: f"nats://127.0.0.1:{port}",
    "https": lambda port: f"https://localhost:{port}/events",
}
UPLINKS = ("nats", "https")


def _port(rig: Any) -> int:
    server = next(getattr(rig, name) for name in ("_plc", "_server", "_broker", "_receiver") if hasattr(rig, name))
    return int(server.port if hasattr(server, "port") else server.url.split("/")[2].rpartition(":")[2])


class Frozen:
    """Between the two of them stands a relay that stops."""

    @asynccontextmanager
    async def between(self, port: int) -> AsyncIterator[int]:
        async with Relay(port) as self._relay:
            yield self._relay.port

    async def begin(self) -> None:
        self._relay.freeze()

    async def end(self) -> None:
        self._relay.thaw()


class Dropped:
    """Nothing stands between them."""

    @asynccontextmanager
    async def between(self, port: int) -> AsyncIterator[int]:
        self._port = port
        yield port

    async def begin(self) -> None:
        rules = [f"add rule inet faults input tcp {side} {self._port} drop" for side in ("dport", "sport")]
        await self._nft("\n".join(["add table inet faults", "add chain inet faults input { type filter hook input priority 0; }", *rules]))

    async def end(self) -> None:
        await self._nft("delete table inet faults")

    async def _nft(self, commands: str) -> None:
        process = await asyncio.create_subprocess_exec("nft", "-f", "-", stdin=asyncio.subprocess.PIPE)
        await process.communicate(commands.encode())
        assert process.returncode == 0


async def _noticed(work: Callable[[], Awaitable[Any]]) -> str:
    """Does it again and again; what NotConnected says."""
    async with asyncio.timeout(NOTICED_SECONDS):
        while True:
            try:
                await work()
            except NotConnected as exc:
                return exc.why


async def _of_a_source(rig: Any, address: Any, fault: Any) -> None:
    source = rig._build(address)
    try:
        for broken in (True, False):
            await source.connect()
            await rig.stimulate()
            async with asyncio.timeout(NOTICED_SECONDS):
                while not _readings(await source.read()):
                    pass
            if broken:
                await fault.begin()
                assert await _noticed(source.read)
                assert await _noticed(lambda: _again(source)), "it does not connect to what does not answer, and says so"
                await fault.end()
            await source.close()
    finally:
        await source.close()


async def _again(source: Any) -> None:
    await source.close()
    await source.connect()
    while True:  # Modbus has nothing to say when it connects
        await source.read()


def _readings(got: Any) -> int:
    return sum(len(item) if hasattr(item, "tag") and hasattr(item, "value") else 1 for item in (got if isinstance(got, list) else [got]))


async def _of_an_uplink(rig: Any, address: Any, fault: Any) -> None:
    uplink = rig._build(address)
    await uplink.connect()
    try:
        (sent,) = await uplink.send([event(1)])
        assert sent.kind is OutcomeKind.SENT
        await fault.begin()
        async with asyncio.timeout(NOTICED_SECONDS):
            assert await _unsent(uplink)
        await fault.end()
    finally:
        await uplink.close()
    anew = rig._build(address)
    await anew.connect()
    try:
        (sent,) = await anew.send([event(3)])
        assert sent.kind is OutcomeKind.SENT
    finally:
        await anew.close()


async def _unsent(uplink: Any) -> bool:
    try:
        (outcome,) = await uplink.send([event(2)])
    except NotConnected:
        return True
    return bool(outcome.kind is OutcomeKind.RETRY)


async def check(name: str, fault: Any) -> None:
    rig = import_module(f"gateway.testkit.rigs.{name}").Rig()
    async with running(rig), fault.between(_port(rig)) as port:
        address = ADDRESSES[name](port)
        await (_of_an_uplink if name in UPLINKS else _of_a_source)(rig, address, fault)


@pytest.mark.timeout(150)
@pytest.mark.skipif(NETWORK in os.environ, reason="here packets are dropped")
@pytest.mark.parametrize("name", ADDRESSES if FAULTS else ["modbus", "nats", "https"])
async def test_a_frozen_peer_is_noticed_and_used_again(name: str) -> None:
    await check(name, Frozen())


@pytest.mark.timeout(150)
@pytest.mark.skipif(NETWORK not in os.environ, reason="in a network of its own only")
@pytest.mark.parametrize("name", ADDRESSES)
async def test_dropped_packets_are_noticed(name: str) -> None:
    await check(name, Dropped())


@pytest.mark.timeout(600)
@pytest.mark.skipif(NETWORK in os.environ, reason="it is this one")
def test_dropped_packets_are_noticed_in_a_network_of_its_own() -> None:
    if os.geteuid() != 0 or shutil.which("nft") is None or not FAULTS:
        pytest.skip("make faults, as root, with nftables")
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "0",
        "-p",
        "no:unraisableexception",
        str(Path(__file__)),
        "-k",
        "test_dropped_packets_are_noticed and not own",
    ]
    # A server that is never told that its client has gone keeps a socket to the end; pytest would call that an error.
    command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *tests]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, NETWORK: "1"})
    assert done.returncode == 0, done.stdout[-5000:]
    assert f"{len(ADDRESSES)} passed" in done.stdout
