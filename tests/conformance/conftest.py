"""Programs that others wrote, run on Node.js against what the gateway sends and exports. `make conformance` runs them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.contract import Event, Finding, Machine, Severity, State
from gateway.events.build import EventBuilder
from gateway.testkit.servers.ports import free_port

HERE = Path(__file__).parent
collect_ignore_glob = [] if os.environ.get("LINESIDE_CONFORMANCE") else ["test_*.py"]
Node = Callable[..., Awaitable[Any]]


@pytest.fixture
def node() -> Node:
    """``await node("sdr.mjs", folder, given=...)``: arguments, JSON on standard input, JSON from standard output."""

    async def run(script: str, *arguments: object, given: Any = None, env: dict[str, str] | None = None) -> Any:
        process = await asyncio.create_subprocess_exec(
            shutil.which("node") or "node",
            str(HERE / script),
            *map(str, arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | (env or {}),
        )
        out, err = await asyncio.wait_for(process.communicate(json.dumps(given).encode()), 50)
        assert process.returncode == 0, err.decode()[-3000:]
        return json.loads(out)

    return run


def finding(number: int) -> Finding:
    return Finding(
        machine="pump-3",
        condition="oil_high",
        state=State.FACT,
        t_ns=1_800_000_000_000_000_000 + number,
        since_ns=1_800_000_000_000_000_000 + number,
        severity=Severity.ERROR,
        title=f"pump-3: Öl zu heiß, Nr. {number}",
        explanation={"value": 71.5, "unit": "degC"},
        key=str(number),
    )


@pytest.fixture
def events() -> list[Event]:
    """Five, as the gateway makes them, with what is hard for headers: umlauts, quotes, percent signs."""
    builder = EventBuilder("urn:lineside:acme:dresden:gw-1")
    machine = Machine(name="pump-3", path="utilities/kühlung 50%", asset='02i"5e')
    now_ns = 1_800_000_001_000_000_000
    return [builder.of_fact(finding(n), detector="limit-1", domain="order", machine=machine, now_ns=now_ns) for n in range(5)]


class Recorder:
    """Takes every request and keeps headers and body as they came."""

    def __init__(self) -> None:
        self.port, self.requests = free_port(), list[dict[str, Any]]()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    async def take(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.requests.append({"headers": {name.lower(): value for name, value in request.headers.items()}, "body": body})
        return web.Response(status=202)


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    made, app = Recorder(), web.Application()
    app.router.add_route("*", "/{tail:.*}", made.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", made.port).start()
    yield made
    await runner.cleanup()
