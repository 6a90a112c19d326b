"""The shipped daemon under control: `lineside run` as a process of its own, started, killed, frozen and asked from outside."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from rig.notify import NotifySocket
from rig.resources import Peaks

UNIT = Path(__file__).parents[3] / "systemd" / "lineside.service"
READY_SECONDS = 60.0
_SAMPLE = re.compile(r"^lineside_(\w+?)(?:_total)?(\{[^}]*\})? ([-+0-9.einfa]+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Daemon:
    """One gateway over all its starts.

    config    the file, written before each start
    state     its state folder
    port      of its page
    env       more of the environment, for example LD_PRELOAD
    prefix    words before the command, for example ``ip netns exec NAME``; they must exec it
    watchdog  seconds; as systemd would, the process is aborted when it is not fed for so long
    """

    def __init__(self, folder: Path, config: dict[str, Any], *, state: Path, port: int) -> None:
        self.folder, self.config, self.state, self.port = folder, config, state, port
        self.file, self.log = folder / "lineside.yaml", folder / "log"
        self.env: dict[str, str] = {}
        self.prefix: Sequence[str] = ()
        self.watchdog: float | None = None
        self.peaks = Peaks()
        self.hung = 0
        self._notify = NotifySocket(folder)
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def launch(self, *, write: bool = True) -> None:
        """Without waiting for READY. `write` False: the configuration is what is there."""
        if write:
            self.file.write_text(json.dumps(self.config, indent=1), encoding="utf-8")
        self._notify.close()
        self._notify.open()
        environment = os.environ | of_unit() | {"NOTIFY_SOCKET": str(self._notify.path)} | self.env
        if self.watchdog:
            environment["WATCHDOG_USEC"] = str(int(self.watchdog * 1e6))
        command = [*self.prefix, *lineside(), "run", str(self.file), "--log", "json"]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env=environment)
        self._watching = asyncio.create_task(self._watch())

    async def start(self, seconds: float = READY_SECONDS) -> float:
        """Returns how long it took to READY; raises AssertionError with the log's end when it ends or is not ready in time."""
        began = time.monotonic()
        await self.launch()
        assert self._process is not None
        ready, ended = asyncio.create_task(self._notify.ready(seconds)), asyncio.create_task(self._process.wait())
        await asyncio.wait([ready, ended], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if ready.done() and ready.exception() is None:
            return time.monotonic() - began
        ready.cancel()
        raise AssertionError(f"not ready, exit code {self._process.returncode}: {self.tail()}")

    async def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal that ends it; returns its exit code."""
        assert self._process is not None
        assert self._process.returncode is None, f"it had ended by itself with {self._process.returncode}: {self.tail()}"
        self.peaks.look(self.pid, self.state)
        self._process.send_signal(how)
        return await self.ended()

    async def stop(self, seconds: float = 30.0) -> tuple[int, float]:
        """SIGTERM; exit code and how long it took."""
        began = time.monotonic()
        code = await asyncio.wait_for(self.kill(signal.SIGTERM), seconds)
        return code, time.monotonic() - began

    async def ended(self, seconds: float = 60.0) -> int:
        """Its exit code, when it has ended."""
        assert self._process is not None
        code = await asyncio.wait_for(self._process.wait(), seconds)
        if self._watching is not None:
            self._watching.cancel()
        return code

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def reload(self) -> None:
        """SIGHUP, with what `config` holds now."""
        self.file.write_text(json.dumps(self.config, indent=1), encoding="utf-8")
        os.kill(self.pid, signal.SIGHUP)

    async def close(self) -> None:
        """Whatever state it is in."""
        if self.alive:
            assert self._process is not None
            self._process.kill()
            await self.ended()
        if self._watching is not None:
            self._watching.cancel()
        self._notify.close()

    async def metrics(self) -> dict[str, float]:
        """``name`` (summed over labels) and ``name{label=value,...}`` to figures, without ``lineside_`` and ``_total``."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as http, http.get(f"{self.url}/metrics") as reply:
            text = await reply.text()
        found: dict[str, float] = {}
        for name, labels, value in _SAMPLE.findall(text):
            found[name] = found.get(name, 0.0) + float(value)
            if labels:
                inner = ",".join(f"{key}={word}" for key, word in sorted(_LABEL.findall(labels)))
                found[f"{name}{{{inner}}}"] = float(value)
        return found

    async def status(self, path: str = "/api/status", seconds: float = 10.0) -> Any:
        """What the page's API says."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(seconds)) as http, http.get(self.url + path) as reply:
            return await reply.json()

    def lines(self, *messages: str) -> list[dict[str, Any]]:
        """Lines of its log with one of these messages; all without any."""
        found = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else ():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict) and (not messages or said.get("message") in messages):
                found.append(said)
        return found

    def tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:] if self.log.exists() else "(no log)"

    async def _watch(self) -> None:
        """Resources, and the watchdog."""
        while self.alive:
            self.peaks.look(self.pid, self.state)
            if self.watchdog and self._notify.is_ready and time.monotonic() - self._notify.fed > self.watchdog:
                self.hung += 1
                os.kill(self.pid, signal.SIGABRT)
                os.kill(self.pid, signal.SIGKILL)  # systemd gives it TimeoutAbortSec; a frozen one needs this at once
                return
            await asyncio.sleep(0.2)


def lineside() -> list[str]:
    """The command as it is installed beside this Python."""
    return [str(Path(sys.executable).with_name("lineside"))]


def of_unit() -> dict[str, str]:
    """The environment the shipped unit gives the process, but what only systemd knows (``%b``)."""
    lines = re.findall("^Environment=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    pairs = [word.partition("=") for line in lines for word in shlex.split(line)]
    return {name: value for name, _, value in pairs if "%" not in value}


async def command(*words: str, env: Mapping[str, str] | None = None, seconds: float = 60.0) -> tuple[int, str]:
    """Run `lineside` with these words; exit code, and what it said on both outputs."""
    environment = os.environ | dict(env or {})
    pipe, both = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(*lineside(), *words, stdout=pipe, stderr=both, env=environment)
    try:
        said, _ = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, said.decode(errors="replace")
