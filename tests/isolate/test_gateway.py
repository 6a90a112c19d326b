"""`lineside run` as a process with a bad driver installed beside it: only that source suffers, and it is told."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.ports import free_port

PLUGIN = Path(__file__).parent / "plugin"
CONFIG = """\
version: 1
site: {{enterprise: acme, site: test, gateway: gw}}
machines:
  press-07:
    source: {{modbus: "{plc}", poll_seconds: 0.25}}
    tags: {{oil: {{at: 40001, deadband: 0}}}}
  press-08:
    source: {{bad: {bad}, after: 1, isolated_silence: 1s, isolated_megabytes: 64}}
    tags: {{a: {{}}}}
watch: [{{limit: {{on: press-07/oil, high: 70}}}}]
gateway: {{state_dir: "{state}", page: {{port: {port}}}}}
"""


class Gateway:
    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()
        self._log = folder / "log"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, plc: Plc, bad: str) -> None:
        file = self._folder / "lineside.yaml"
        file.write_text(CONFIG.format(plc=plc.url, bad=bad, state=self._folder / "state", port=self.port))
        command = [sys.executable, "-c", "from gateway.cli import main; main()", "run", str(file), "--log", "json"]
        path = os.pathsep.join([str(PLUGIN), *filter(None, [os.environ.get("PYTHONPATH")])])
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": path})
        await self.until(lambda: '"message":"ready"' in self.log)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(40):
            while not condition():
                assert self._process is not None
                assert self._process.returncode is None, self.log[-3000:]
                await asyncio.sleep(0.02)

    async def get(self, path: str) -> str:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}{path}") as answer:
            return await answer.text()

    async def sources(self) -> dict[str, Any]:
        return {source["name"]: source for source in json.loads(await self.get("/api/status"))["sources"]}

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self._process is not None
        if self._process.returncode is None:
            os.kill(self._process.pid, how)
        async with asyncio.timeout(20):
            return await self._process.wait()


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    started = Gateway(tmp_path)
    yield started
    await started.end(signal.SIGKILL)


@pytest.fixture
async def plc() -> AsyncIterator[Plc]:
    server = Plc()
    await server.start()
    yield server
    await server.stop()


async def test_one_that_loops_is_stopped_told_and_tried_again_while_the_other_is_read_on(gateway: Gateway, plc: Plc) -> None:
    await gateway.start(plc, "loop")
    await gateway.until(lambda: gateway.log.count("was stopped: no answer for 1 s") >= 1)
    stops = 0
    while stops < 3:
        stops = (await gateway.sources())["press-08"]["stopped"]
        await asyncio.sleep(0.05)
    sources = await gateway.sources()
    assert (sources["press-07"]["state"], sources["press-07"]["isolated"], sources["press-07"]["stopped"]) == ("up", False, 0)
    assert sources["press-08"]["isolated"]
    metrics = await gateway.get("/metrics")
    assert re.search(r'lineside_source_processes_ended_total\{reason="no_answer",source="press-08"\} [3-9]', metrics)
    missed = sum(float(number) for number in re.findall(r'polls_skipped_total\{source="press-07"\} (\S+)', metrics))
    assert missed * 4 <= sources["press-07"]["readings"], "the other source missed polls because of it"
    async with asyncio.timeout(10):
        while "device_stopped" not in await gateway.get("/api/incidents"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await gateway.end() == 0


async def test_processes_end_with_the_gateway_however_it_ends(gateway: Gateway, plc: Plc) -> None:
    """Also when both are killed in the middle of a loop: the kernel ends the one when the other has gone."""

    def children() -> list[psutil.Process]:
        return psutil.Process(gateway.pid).children()

    await gateway.start(plc, "good")
    await gateway.until(lambda: bool(children()))
    (child,) = children()
    child.send_signal(signal.SIGTERM)  # systemd sends it to the whole unit
    before = (await gateway.sources())["press-08"]["readings"]
    async with asyncio.timeout(10):
        while (await gateway.sources())["press-08"]["readings"] < before + 5:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert await gateway.end() == 0
    assert not child.is_running()
    await gateway.start(plc, "loop")
    await gateway.until(lambda: bool(children()))
    (child,) = children()
    await gateway.end(signal.SIGKILL)
    _, alive = await asyncio.to_thread(psutil.wait_procs, [child], 5)
    assert not alive
