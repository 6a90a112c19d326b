"""A backlog over HTTPS: batches of 200 CloudEvents to a receiver that takes everything, and the same as Salesforce wants them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.result import Result, Target
from benchmarks.scenarios.backlog import drain, fill
from benchmarks.servers import scratch
from gateway.testkit.servers.ports import free_port

EVENTS, SECONDS = 300_000, 15.0
CLOUDEVENTS = """\
machines: {{press-07: {{path: press-shop/line-2/cell-1}}}}
deliver: {{hub: {{https: "http://localhost:{port}/events", mode: batch}}, buffer: {{max_megabytes: 4096}}}}
"""
SALESFORCE = """\
machines: {{press-07: {{path: press-shop/line-2/cell-1}}}}
deliver:
  hub:
    https: "http://localhost:{port}"
    preset: salesforce
    auth: {{kind: none, client_id: null, private_key: null, username: null, token_url: null, audience: null, base_from: null}}
    limits: null
    feedback: null
  buffer: {{max_megabytes: 4096}}
"""


class Taker:
    """Takes everything: 202, or one success per record. It reads the body but does not look into it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.bytes = 0

    async def __aenter__(self) -> Taker:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/events", self._events)
        app.router.add_post("/services/data/v66.0/composite/sobjects", self._records)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _events(self, request: web.Request) -> web.Response:
        self.bytes += len(await request.read())
        return web.Response(status=202)

    async def _records(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bytes += len(body)
        return web.json_response([{"id": "e01", "success": True, "errors": []}] * body.count(b'"Gateway_Event__e"'))


async def _measured(folder: Path, deliver: str) -> Any:
    fill(folder / "state", EVENTS)
    async with Taker() as taker:
        return await drain(folder, deliver.format(port=taker.port), SECONDS)


async def run() -> list[Result]:
    found = {}
    for name, deliver in (("CloudEvents", CLOUDEVENTS), ("Salesforce", SALESFORCE)):
        folder = scratch("bench-https")
        try:
            found[name] = await _measured(folder, deliver)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return [
        Result(
            f"HTTPS, batches of 200, {name}",
            (Target("events/s", drained["per_second"], ">=", 5_000),),
            {"cpu_us_per_event": round(drained["cpu_us"]), "critical_p99_ms": round(drained["p99"])},
        )
        for name, drained in found.items()
    ]
