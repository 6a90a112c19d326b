"""libmodbus' server, compiled when it is first asked for, and a pair of serial devices."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from gateway.testkit.checks.watch import until

SOURCE = Path(__file__).with_name("modbus_libmodbus.c")


class Missing(Exception):
    """A program of Debian that is needed is not there; the text names its package."""


@cache
def compiled() -> Path:
    """The program, kept beside other temporary files for as long as its source does not change. Raises Missing."""
    for name in ("gcc", "pkg-config"):
        if not shutil.which(name):
            raise Missing(f"{name} is missing: apt-get install gcc pkg-config libmodbus-dev")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libmodbus"], capture_output=True, text=True, check=False)
    if flags.returncode:
        raise Missing("libmodbus is missing: apt-get install libmodbus-dev")
    folder = Path(tempfile.gettempdir()) / f"lineside-testkit-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    program = folder / "modbus_libmodbus"
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        made = folder / f"modbus_libmodbus.{os.getpid()}"
        subprocess.run(["gcc", "-O2", "-Wall", "-o", str(made), str(SOURCE), *flags.stdout.split()], check=True)
        made.replace(program)
    return program


class Child:
    """A process that says ``ready`` and ends when its standard input closes."""

    def __init__(self, *command: str) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)
        assert self._process.stdout is not None
        async with asyncio.timeout(10):
            line = await self._process.stdout.readline()
        if line.strip() != b"ready":
            await self.stop()
            raise RuntimeError(f"{self._command[0]} did not become ready")

    async def say(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()
            process._transport.close()  # type: ignore[attr-defined]  # its pipes, now and not when it is collected


class SerialPair:
    """Two serial devices, `ours` and `theirs`, that are the two ends of one line (socat). Raises Missing."""

    def __init__(self, folder: Path) -> None:
        if not shutil.which("socat"):
            raise Missing("socat is missing: apt-get install socat")
        self.ours, self.theirs = folder / "ours", folder / "theirs"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        ends = [f"pty,raw,echo=0,link={path}" for path in (self.ours, self.theirs)]
        self._process = await asyncio.create_subprocess_exec("socat", *ends)
        await until(lambda: self.ours.exists() and self.theirs.exists(), 10, lambda: "socat made no devices")

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            await process.wait()
