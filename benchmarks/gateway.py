"""The gateway under test: `lineside run` in a process of its own, on its own core, watched from outside."""

from __future__ import annotations

import asyncio
import compileall
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType

import aiohttp

from benchmarks.machine import cpu_seconds, pin_gateway, resident_mb
from gateway.testkit.servers.ports import free_port

ROOT = Path(__file__).parents[1]
SITE = "version: 1\nsite: {enterprise: acme, site: bench, gateway: bench-01}\n"
_SAMPLE = re.compile(r"^lineside_(\w+?)(?:_total)?(\{[^}]*\})? ([0-9.e+-]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    """What was seen at one moment. `counters` are sums over their labels."""

    at: float
    cpu: float
    counters: dict[str, float]

    def __sub__(self, before: Sample) -> Sample:
        names = {*self.counters, *before.counters}
        return Sample(
            self.at - before.at,
            self.cpu - before.cpu,
            {name: self.counters.get(name, 0.0) - before.counters.get(name, 0.0) for name in names},
        )


@cache
def _compile() -> None:
    """What packages bring compiled; compiling while it starts costs the gateway half a second and megabytes that it keeps."""
    for package in ("gateway", "drivers", "models"):
        compileall.compile_dir(ROOT / package, quiet=2)


class Gateway:
    """One run with one configuration (YAML without version, site and gateway sections).

    ready_seconds   from start to READY=1 on the notify socket
    folder          of an earlier run, whose state this one continues; it is not removed then
    """

    def __init__(self, config: str, folder: Path | None = None) -> None:
        self._keep = folder is not None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="lineside-bench-"))
        self._port = free_port()
        self.file = self.folder / "lineside.yaml"
        own = f'gateway: {{page: {{port: {self._port}}}, state_dir: "{self.folder / "state"}", log_level: warning}}\n'
        self.file.write_text(SITE + own + config)
        self.ready_seconds = 0.0

    async def __aenter__(self) -> Gateway:
        _compile()
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        (self.folder / "notify").unlink(missing_ok=True)
        notify.bind(str(self.folder / "notify"))
        notify.setblocking(False)
        command = str(Path(sys.executable).with_name("lineside"))
        environment = os.environ | {"NOTIFY_SOCKET": str(self.folder / "notify")}
        self._log = (self.folder / "log").open("wb")
        started = time.perf_counter()
        self._process = await asyncio.create_subprocess_exec(
            command, "run", str(self.file), "--log", "json", env=environment, stderr=self._log, stdout=self._log, preexec_fn=pin_gateway
        )
        try:
            async with asyncio.timeout(30):
                while b"READY=1" not in await asyncio.get_running_loop().sock_recv(notify, 4096):
                    pass
        except TimeoutError:
            raise SystemExit(f"the gateway did not become ready:\n{self.log()}") from None
        finally:
            notify.close()
        self.ready_seconds = time.perf_counter() - started
        self._http = aiohttp.ClientSession()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.close()
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 20)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._log.close()
        if error is None and not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Of its page."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        return (self.folder / "log").read_text()[-4000:]

    def resident_mb(self) -> float:
        return resident_mb(self.pid)

    async def sample(self) -> Sample:
        """CPU is read before the counters, whose making costs a millisecond of it."""
        at, cpu = time.perf_counter(), cpu_seconds(self.pid)
        text = await self.metrics()
        counters: dict[str, float] = {}
        for name, _, value in _SAMPLE.findall(text):
            counters[name] = counters.get(name, 0.0) + float(value)
        return Sample(at, cpu, counters)

    async def metrics(self) -> str:
        """As a scraper gets them."""
        async with self._http.get(f"{self.url}/metrics") as reply:
            return await reply.text()

    async def window(self, warm_up: float, seconds: float) -> Sample:
        """What happened in `seconds` after a warm-up."""
        await asyncio.sleep(warm_up)
        before = await self.sample()
        await asyncio.sleep(seconds)
        return await self.sample() - before

    async def status(self) -> dict[str, object]:
        async with self._http.get(f"{self.url}/api/status") as reply:
            found: dict[str, object] = await reply.json()
            return found
