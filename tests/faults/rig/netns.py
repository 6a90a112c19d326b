"""A network of its own for the daemon, joined to ours by one wire. Needs root, iproute2 and nftables."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import socket
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from rig.table import PATH

HERE, THERE = "10.99.0.1", "10.99.0.2"
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of setns(2)


class Namespace:
    """The daemon's end of the wire is HERE, ours THERE: what stands behind the wire listens there.

    Its loopback is not ours: `let_in` and `let_out` pass single ports through beside the wire.
    `prefix` goes before the daemon's command.
    """

    def __init__(self) -> None:
        tag = f"{os.getpid() % 100_000}"
        self.name, self.inner, self.outer = f"lineside{tag}", f"li{tag}", f"lo{tag}"
        self._thread: ThreadPoolExecutor | None = None
        self._lock: IO[str] | None = None
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def prefix(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._wait_for_the_wire)
        try:
            _run("ip", "netns", "add", self.name)
            _run("ip", "link", "add", self.outer, "type", "veth", "peer", "name", self.inner, "netns", self.name)
            _run("ip", "address", "add", f"{THERE}/24", "dev", self.outer)
            _run("ip", "link", "set", self.outer, "up")
            self.inside("ip", "address", "add", f"{HERE}/24", "dev", self.inner)
            self.inside("ip", "link", "set", self.inner, "up")
            self.inside("ip", "link", "set", "lo", "up")
            self._thread = ThreadPoolExecutor(1, initializer=_enter, initargs=(self.name,))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._thread is not None:
            self._thread.shutdown()
        folder = Path("/etc/netns") / self.name
        for words in (["ip", "netns", "del", self.name], ["ip", "link", "del", self.outer]):
            subprocess.run(words, check=False, capture_output=True, env=os.environ | {"PATH": PATH})
        (folder / "resolv.conf").unlink(missing_ok=True)
        if folder.is_dir():
            folder.rmdir()
        if self._lock is not None:
            self._lock.close()

    def _wait_for_the_wire(self) -> None:
        """Its addresses are fixed, so there is one at a time."""
        self._lock = (Path(tempfile.gettempdir()) / "lineside-faults-wire").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    async def let_in(self, port: int) -> None:
        """Who connects to this port of our loopback is at the daemon's."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there = self._socket()
            there.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(there, ("127.0.0.1", port))
                await self._join(reader, writer, *await asyncio.open_connection(sock=there))
            except OSError:
                there.close()
                writer.transport.abort()

        self._servers.append(await asyncio.start_server(serve, "127.0.0.1", port))

    async def let_out(self, port: int) -> None:
        """What the daemon asks this port of its loopback is answered by ours."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._join(reader, writer, *await asyncio.open_connection("127.0.0.1", port))
            except OSError:
                writer.transport.abort()

        listening = self._socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        self._servers.append(await asyncio.start_server(serve, sock=listening))

    def inside(self, *words: str, given: str = "") -> str:
        """Run a program there; `given` is its standard input."""
        return _run(*self.prefix, *words, given=given)

    def names_from(self, server: str) -> None:
        """The daemon's name server, from its next start on."""
        folder = Path("/etc/netns") / self.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "resolv.conf").write_text(f"nameserver {server}\noptions timeout:5 attempts:2\n")

    def filter(self, *rules: str) -> None:
        """nftables rules for what comes to the daemon, for example ``tcp sport 443 drop`` or ``numgen random mod 100 < 20 drop``."""
        self.clear()
        lines = ["table inet fault {", " chain in {", "  type filter hook input priority 0; policy accept;"]
        lines += [f"  iifname {self.inner} {rule}" for rule in rules]
        self.inside("nft", "-f", "-", given="\n".join([*lines, " }", "}", ""]))

    def clear(self) -> None:
        self.inside("nft", "flush", "ruleset")

    def narrow(self, kbit: int) -> None:
        """What the daemon sends passes the wire at this rate."""
        self.inside("tc", "qdisc", "replace", "dev", self.inner, "root", "tbf", "rate", f"{kbit}kbit", "burst", "4kb", "latency", "400ms")

    def widen(self) -> None:
        self.inside("tc", "qdisc", "del", "dev", self.inner, "root")

    def _socket(self) -> socket.socket:
        """One that belongs to the daemon's network, whoever uses it."""
        assert self._thread is not None
        return self._thread.submit(socket.socket, socket.AF_INET, socket.SOCK_STREAM).result()

    async def _join(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, there: asyncio.StreamReader, onward: asyncio.StreamWriter
    ) -> None:
        pumps = {asyncio.create_task(_pump(reader, onward)), asyncio.create_task(_pump(there, writer))}
        self._tasks |= pumps
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._tasks -= pumps
            for pump in pumps:
                pump.cancel()
            onward.transport.abort()
            writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await reader.read(65536):
            writer.write(block)
            await writer.drain()


def _enter(name: str) -> None:
    """This thread, and the sockets it makes, belong to that network from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/run/netns/{name}").open() as file:
        if libc.setns(file.fileno(), _NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "setns")


def _run(*words: str, given: str = "") -> str:
    done = subprocess.run(words, input=given, capture_output=True, text=True, check=False, env=os.environ | {"PATH": PATH})
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
