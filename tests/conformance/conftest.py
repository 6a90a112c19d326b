"""Programs that others wrote, run on Node.js against what the gateway sends and exports. `make conformance` runs them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from gateway import registry
from gateway.cli import main
from gateway.contract import Event, Finding, Machine, OutcomeKind, Severity, State
from gateway.events.build import EventBuilder, rfc3339
from gateway.testkit.contexts import uplink_context
from gateway.testkit.servers.nats import NatsServer

HERE = Path(__file__).parent
# What needs no Node.js is a part of every run of the tests.
collect_ignore_glob = [] if os.environ.get("LINESIDE_CONFORMANCE") else [p.name for p in HERE.glob("test_*.py") if p.name != "test_lock.py"]
SECONDS = 40
START_NS = 1_800_000_000_000_000_001
BUILDER = EventBuilder("urn:lineside:acme:dresden:gw-1")
# What is hard for headers and for JSON: umlauts, a quote, a percent sign, blanks, and a sign outside the first 65,536.
MACHINE = Machine(name="pump-3", path="utilities/kühlung 50%", asset='02i"5e')
HARD = 'pump-3: Öl "zu heiß", 50 % 🔥'


def program(script: Path, *arguments: object, **env: str) -> Awaitable[asyncio.subprocess.Process]:
    return asyncio.create_subprocess_exec(
        shutil.which("node") or "node",
        str(script),
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | env,
    )


@pytest.fixture
def node() -> Callable[..., Awaitable[Any]]:
    """``await node("sdr.mjs", folder, given=...)``: arguments, JSON on standard input, JSON from standard output."""

    async def run(script: str, *arguments: object, given: Any = None) -> Any:
        process = await program(HERE / script, *arguments)
        try:
            out, err = await asyncio.wait_for(process.communicate(json.dumps(given).encode()), SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, err.decode()[-3000:]
        return json.loads(out)

    return run


class Program:
    """A program that goes on until it is stopped, and its lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> Any:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), SECONDS)
        assert line, (await self._process.stderr.read()).decode()[-3000:]
        return json.loads(line)

    async def lines(self, count: int) -> list[Any]:
        return [await self.line() for _ in range(count)]

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Program]]]:
    """``await start(script, *arguments, **environment)``."""
    started: list[Program] = []

    async def run(script: Path, *arguments: object, **env: str) -> Program:
        started.append(Program(await program(script, *arguments, **env)))
        return started[-1]

    yield run
    for each in started:
        await each.stop()


@pytest.fixture
def lineside() -> Callable[..., None]:
    """``lineside("export", "asyncapi", file)``, as it is typed."""

    def run(*arguments: object) -> None:
        done = CliRunner().invoke(main, [str(each) for each in arguments])
        assert done.exit_code == 0, done.output

    return run


@pytest.fixture
def outcomes() -> Callable[..., Awaitable[list[OutcomeKind]]]:
    """``await outcomes("https", options, events, secrets)``: what the real uplink says became of each event."""

    async def send(name: str, options: dict[str, Any], events: list[Event], secrets: dict[str, str] | None = None) -> list[OutcomeKind]:
        plugin = registry.uplink(name)
        uplink = plugin.build(plugin.options.model_validate(options), uplink_context(secrets=secrets))
        await uplink.connect()
        try:
            return [outcome.kind for outcome in await uplink.send(events)]
        finally:
            await uplink.close()

    return send


def told(number: int) -> Event:
    """Opening of incident `number`."""
    id_ = BUILDER.incident_id(MACHINE.name, "oil_high", number)
    data = {
        "incident": id_,
        "state": "raised",
        "machine": MACHINE.name,
        "condition": "oil_high",
        "title": HARD,
        "severity": "error",
        "detector": "limit-1",
        "since": rfc3339(START_NS),
        "raised": rfc3339(START_NS),
        "occurrences": 1,
        "tags": ["oil"],
        "explanation": {"value": 71.5, "unit": "°C"},
    }
    return BUILDER.of_incident(
        incident=id_, number=1, domain="limit", machine=MACHINE, severity=Severity.ERROR, time_ns=START_NS, now_ns=START_NS + 9, data=data
    )


def fact(number: int) -> Event:
    finding = Finding(
        machine=MACHINE.name,
        condition="milestone_reached",
        state=State.FACT,
        t_ns=START_NS + number,
        since_ns=START_NS + number,
        severity=Severity.INFO,
        title=HARD,
        explanation={"step": "paint"},
        key=f"order-{number}",
    )
    return BUILDER.of_fact(finding, detector="order-1", domain="order", machine=MACHINE, now_ns=START_NS + 9)


@pytest.fixture
def events() -> list[Event]:
    """Three openings and two facts, as the gateway makes them."""
    return [*map(told, range(1, 4)), *map(fact, range(2))]


@dataclass
class Recorder:
    """Takes every request and keeps headers and body as they came."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)

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
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://localhost:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def hub() -> AsyncIterator[NatsServer]:
    """With the stream EVENTS."""
    async with NatsServer() as server:
        await server.create_stream()
        yield server
