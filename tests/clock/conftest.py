"""The shipped daemon under another wall clock, between a real PLC and a real receiver."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.events.build import to_ns
from gateway.testkit import temporary
from gateway.testkit.servers.https import Receiver
from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.ports import free_port

DAY = 86_400 * 10**9
CONFIG = """\
version: 1
site: {{enterprise: acme, site: test, gateway: gw}}
machines:
  press-07:
    source: {{modbus: "{plc}", poll_seconds: 0.05, timeout: 500ms}}
    tags:
      oil: {{at: 40011, as: float32, stuck_after: 1h}}
watch:
  - limit: {{on: press-07/oil, high: 70, hysteresis: 2}}
incidents:
  hold: 0s
  clear_after: 0s
  evidence: {{before: 5s, after: 0s}}
deliver:
  crm: {{https: "{crm}", ca: "{ca}", mode: batch, timeout: 2s, max_age: 5d, retry: {{first: 50ms, longest: 500ms}}}}
gateway: {{state_dir: "{state}", page: {{port: {page}}}, clock: {{wait: {wait}}}}}
"""


class Gateway:
    """`lineside run`. `wall` moves its wall clock, in nanoseconds; `synchronised` is what the kernel says of it."""

    def __init__(self, folder: Path, shim: Path, plc: Plc, receiver: Receiver) -> None:
        self.folder, self.plc, self.receiver, self.state = folder, plc, receiver, folder / "state"
        self._shim, self._steer, self.log, self._page = shim, folder / "steer", folder / "log", free_port()
        self.file = folder / "lineside.yaml"
        self._process: asyncio.subprocess.Process | None = None
        self.wall(0)
        self.configure()

    def configure(self, wait: str = "10m") -> None:
        given = {"plc": self.plc.url, "crm": self.receiver.url, "ca": self.receiver.ca, "state": self.state}
        text = CONFIG.format(**given, page=self._page, wait=wait)
        self.file.write_text(text if self.receiver.ca else text.replace('ca: "None", ', ""))

    def wall(self, add_ns: int, *, synchronised: bool = False) -> None:
        with self._steer.open("r+b" if self._steer.exists() else "wb") as file:
            file.write(struct.pack("qq", add_ns, synchronised))

    def in_1970(self) -> None:
        """As a board without a clock of its own, a minute after it got power."""
        self.wall(60 * 10**9 - time.time_ns())

    def oil(self, value: float) -> None:
        self.plc.set_float("holding", 10, value)

    async def start(self) -> None:
        command = [sys.executable, "-c", "from gateway.cli import main; main()", "run", str(self.file), "--log", "json"]
        shimmed = {"LD_PRELOAD": str(self._shim), "CLOCK_SHIM": str(self._steer)}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env={**os.environ, **shimmed})
        await self.until(lambda: '"message":"ready"' in self.log.read_text(), 30)

    async def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.send_signal(how)
            await asyncio.wait_for(process.wait(), 20)

    async def until(self, condition: Callable[[], bool], seconds: float = 40.0) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    assert self._process is None or self._process.returncode is None, self.log.read_text()[-3000:]
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(self.log.read_text()[-3000:]) from None

    async def status(self) -> dict[str, Any]:
        return await self.get("status")

    async def get(self, what: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self._page}/api/{what}") as answer:
            return await answer.json()

    async def until_status(self, condition: Callable[[dict[str, Any]], bool], seconds: float = 15.0) -> dict[str, Any]:
        try:
            async with asyncio.timeout(seconds):
                while not condition(found := await self.status()):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                return found
        except TimeoutError:
            raise AssertionError(f"{await self.status()}\n{self.log.read_text()[-3000:]}") from None

    async def faults(self, count: int) -> None:
        """The oil gets hot and cools down, so often; each is two events on disk."""
        for _ in range(count):
            for value, state in ((75.0, "open"), (50.0, "closed")):
                before = await self.get("incidents?limit=200")
                self.oil(value)
                known = {incident["id"] for incident in before if incident["state"] == state}
                async with asyncio.timeout(20):
                    while not {i["id"] for i in await self.get("incidents?limit=200") if i["state"] == state} - known:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)

    @property
    def arrived(self) -> list[dict[str, Any]]:
        return [self.receiver.events[name] for name in self.receiver.order]

    @staticmethod
    def age_seconds(text: str) -> float:
        """Of a time in an event, by the true clock."""
        return (time.time_ns() - to_ns(text)) / 1e9

    def of(self, *happenings: str) -> list[dict[str, Any]]:
        return [event for event in self.arrived if event["type"].split(".")[-2] in happenings]


@pytest.fixture(scope="session")
def shim() -> Path:
    built = temporary.folder("shim") / "shim.so"
    command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(built), str(Path(__file__).with_name("shim.c")), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return built


@pytest.fixture
async def gateway(tmp_path: Path, shim: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "JOURNAL_STREAM"):
        monkeypatch.delenv(name, raising=False)
    async with Plc() as plc, Receiver(tls=True) as receiver:
        made = Gateway(tmp_path, shim, plc, receiver)
        made.oil(50.0)
        yield made
        await made.end(signal.SIGKILL)


@pytest.fixture
async def plain(gateway: Gateway) -> AsyncIterator[Gateway]:
    """The same with a receiver that shows no certificate."""
    async with Receiver(tls=False) as receiver:
        gateway.receiver = receiver
        gateway.configure()
        yield gateway
        await gateway.end(signal.SIGKILL)
