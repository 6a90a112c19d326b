"""A gateway between a real PLC and a real receiver."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.app import App
from gateway.config import Settings, load
from gateway.sdnotify import Notifier
from gateway.testkit.servers.https import Receiver
from gateway.testkit.servers.modbus import Plc

CONFIG = """\
version: 1
site: {{enterprise: acme, site: test, gateway: gw}}
machines:
  press-07:
    path: hall/line/cell
    asset: PRESS07
    source: {{modbus: "{plc}", poll_seconds: 0.02, timeout: 500ms}}
    tags:
      oil_temperature: {{at: 40011, as: float32, unit: degC}}
watch:
  - limit: {{on: press-07/oil_temperature, high: {high}, hysteresis: 2}}
incidents:
  hold: 0s
  clear_after: 0s
  evidence: {{before: 5s, after: 0s}}
deliver:
  crm: {{https: "{crm}", mode: batch, timeout: 2s}}
gateway: {{state_dir: "{state}", page: {{port: 0}}}}
"""


class Site:
    """One plant on loopback. Changes are written by `configure`; `run` runs a gateway in this process."""

    def __init__(self, folder: Path, plc: Plc, receiver: Receiver) -> None:
        self.folder, self.plc, self.receiver = folder, plc, receiver
        self.file, self.state = folder / "lineside.yaml", folder / "state"
        self.notify = folder / "notify"
        self.configure()

    def configure(self, change: Callable[[str], str] = lambda text: text, *, high: float = 70.0) -> None:
        text = CONFIG.format(plc=self.plc.url, crm=self.receiver.url, state=self.state, high=high)
        self.file.write_text(change(text))

    def secret(self, name: str, value: str) -> Path:
        """One that the configuration may name; its file, to be written anew."""
        file = self.folder / "secrets" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(value)
        file.chmod(0o600)
        return file

    def oil(self, value: float) -> None:
        self.plc.set_float("holding", 10, value)

    @asynccontextmanager
    async def run(self, change: Callable[[Settings], Settings] = lambda settings: settings) -> AsyncIterator[App]:
        app = App(change(load(self.file)), notifier=Notifier(str(self.notify)))
        running = asyncio.create_task(app.run())
        await self.until(lambda: app.page_port > 0 or running.done())
        if running.done():
            running.result()
        try:
            yield app
        finally:
            app.stop()
            await asyncio.wait_for(running, 15)

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    def told(self) -> list[str]:
        """Happenings at the receiver, in order: ``raised``, ``cleared`` ..."""
        return [self.receiver.events[identity]["type"].split(".")[-2] for identity in self.receiver.order]

    async def get(self, app: App, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{app.page_port}{path}") as answer:
            return answer.status, await answer.text()


class Systemd:
    """The socket that `Type=notify` listens on."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        """Every line heard so far."""
        while True:
            try:
                self.heard += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        self._socket.close()


class Daemon:
    """`lineside` in a process of its own."""

    def __init__(self, site: Site) -> None:
        self.site, self.log = site, site.folder / "log"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *arguments: str, **environment: str) -> None:
        command = [
            sys.executable,
            "-c",
            "from gateway.cli import main; main()",
            *(arguments or ("run", str(self.site.file), "--log", "json")),
        ]
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env={**os.environ, **environment})

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def exit_code(self) -> int:
        assert self.process is not None
        return await asyncio.wait_for(self.process.wait(), 20)

    def said(self, message: str) -> int:
        return self.log.read_text().count(f'"message":"{message}"')

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Plc() as plc, Receiver(tls=False) as receiver:
        yield Site(tmp_path, plc, receiver)


@pytest.fixture
def systemd(site: Site) -> Iterator[Systemd]:
    listening = Systemd(site.notify)
    yield listening
    listening.close()


@pytest.fixture
async def daemon(site: Site) -> AsyncIterator[Daemon]:
    made = Daemon(site)
    yield made
    await made.kill()


@pytest.fixture(autouse=True)
def _no_systemd_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "JOURNAL_STREAM"):
        monkeypatch.delenv(name, raising=False)
