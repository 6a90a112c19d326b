"""Load generators as child processes on the other core."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.testkit.servers.ports import free_port

HERE = Path(__file__).parent
OUT = HERE / "out"
NODE_OPCUA = "node-opcua@2.182.2"


class Missing(Exception):
    """What a scenario needs is not on this machine; the text names the remedy."""


@asynccontextmanager
async def child(*command: str, env: dict[str, str] | None = None) -> AsyncIterator[None]:
    """A process that says ``ready`` and ends when its standard input closes."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=env)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        async with asyncio.timeout(60):
            while (line := await process.stdout.readline()).strip() != b"ready":
                if not line:
                    raise SystemExit(f"{command[0]} did not become ready")
        yield
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def modbus_servers(count: int, first: int = 0) -> AsyncIterator[list[int]]:
    """`count` libmodbus servers of 1,000 registers on ports from `first`, or on free ones; yields the ports."""
    first = first or _free_range(count)
    async with child(str(_compiled()), str(first), str(count)):
        yield [first + i for i in range(count)]


@asynccontextmanager
async def opcua_server(items: int, changes_per_second: int) -> AsyncIterator[int]:
    """One node-opcua process; yields its port."""
    modules = _node_modules()
    port = free_port()
    env = os.environ | {"NODE_PATH": str(modules)}
    async with child("node", str(HERE / "loads" / "opcua_server.js"), str(port), str(items), str(changes_per_second), env=env):
        yield port


def _compiled() -> Path:
    program, source = OUT / "modbus_server", HERE / "loads" / "modbus_server.c"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        if not shutil.which("gcc") or not shutil.which("pkg-config"):
            raise Missing("sudo apt-get install gcc pkg-config libmodbus-dev")
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libmodbus"], capture_output=True, text=True, check=False)
        if flags.returncode:
            raise Missing("sudo apt-get install libmodbus-dev")
        OUT.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-O2", "-o", str(program), str(source), *flags.stdout.split()], check=True)
    return program


def _node_modules() -> Path:
    """node-opcua, installed once beside the results; it is a load generator, never a part of the product."""
    modules = OUT / "node_modules"
    if not (modules / "node-opcua").exists():
        if not shutil.which("npm"):
            raise Missing("sudo apt-get install nodejs npm")
        OUT.mkdir(exist_ok=True)
        quiet = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        done = subprocess.run(["npm", "install", *quiet, "--prefix", str(OUT), NODE_OPCUA], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"npm install {NODE_OPCUA} failed: {done.stderr.strip()[:200]}")
    return modules


def _free_range(count: int) -> int:
    """The first of `count` neighbouring free ports."""
    import socket

    for _ in range(100):
        first = free_port()
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise SystemExit("no range of free ports")


def scratch(name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"lineside-{name}-"))
