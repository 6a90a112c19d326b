"""The HTTP server: routes, and what each of them answers."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from inspect import isawaitable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from aiohttp import web

from gateway.contract import Json
from gateway.web import registry
from gateway.web.guard import guard
from gateway.web.ingest import Ingest
from gateway.web.view import View

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MOST_INCIDENTS: Final = 500
STATIC: Final = Path(str(files("gateway.web") / "static"))


class PageServer:
    """Serves one view on one address: GET and HEAD only, but for what `ingest` takes.

    host   on a loopback address the Host header is checked, so that no web site can reach in by DNS rebinding;
           any other address is open to whoever reaches it: there is no login, nothing to change and no secret to read;
           only what is posted needs the token of its source
    port   0 lets the system choose
    """

    def __init__(self, view: View, host: str = "127.0.0.1", port: int = 8080, ingest: Ingest | None = None) -> None:
        self._view, self._host, self._port, self._ingest = view, host, port, ingest
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen and return the port. Raises OSError when the address is taken or is not ours."""
        app = web.Application()
        guard(app, self._host)
        app.add_routes(self._routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, auto_decompress=False)  # `ingest` does it, within bounds
        await runner.setup()
        # Not cancelled in the middle, where asyncio would leave the sockets open that it has already bound.
        listening = asyncio.ensure_future(web.TCPSite(runner, self._host, self._port).start())
        try:
            await asyncio.shield(listening)
        except (OSError, asyncio.CancelledError):
            await asyncio.gather(listening, return_exceptions=True)
            await runner.cleanup()
            raise
        self._runner = runner
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Close every connection; twice is fine."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def _routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/", self._page),
            web.static("/static", STATIC),
            web.get("/api/status", self._status),
            web.get("/api/machines", self._machines),
            web.get("/api/history", self._history),
            web.get("/api/spectra", self._spectra),
            web.get("/api/incidents", self._incidents),
            web.get("/api/incidents/{id}", self._incident),
            web.get("/api/watches/{name}", self._watch),
            web.get("/metrics", self._metrics),
            web.get("/healthz", self._healthz),
            *registry.routes(),
            *(self._ingest.routes() if self._ingest is not None else ()),
        ]

    async def _page(self, _: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html")

    async def _status(self, _: web.Request) -> web.Response:
        return answer(await told(self._view.status()))

    async def _machines(self, _: web.Request) -> web.Response:
        return answer(await told(self._view.machines()))

    async def _history(self, request: web.Request) -> web.Response:
        machine = request.query.get("machine", "")
        if not machine:
            return problem(400, "say which machine: /api/history?machine=NAME&since=NANOSECONDS")
        since_ns = whole(request.query.get("since", "0"), most=2**63 - 1)
        if since_ns is None:
            return problem(400, "since must be a whole number of nanoseconds since 1970")
        found = await told(self._view.history(machine, since_ns))
        return answer(found) if found is not None else problem(404, "no such machine")

    async def _spectra(self, _: web.Request) -> web.Response:
        return answer(await told(self._view.spectra()))

    async def _incidents(self, request: web.Request) -> web.Response:
        limit = whole(request.query.get("limit", "100"), most=MOST_INCIDENTS)
        if not limit:
            return problem(400, f"limit must be a whole number from 1 to {MOST_INCIDENTS}")
        return answer(await told(self._view.incidents(limit)))

    async def _incident(self, request: web.Request) -> web.Response:
        found = await told(self._view.incident(request.match_info["id"]))
        return answer(found) if found is not None else problem(404, "no such incident")

    async def _watch(self, request: web.Request) -> web.Response:
        found = await told(self._view.watch(request.match_info["name"]))
        return answer(found) if found is not None else problem(404, "no such watch")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=await told(self._view.metrics()), headers={"Content-Type": METRICS_TYPE})

    async def _healthz(self, _: web.Request) -> web.Response:
        healthy, facts = await told(self._view.healthy())
        return answer({"healthy": healthy, **facts}, status=200 if healthy else 503)


async def told(given: Json) -> Json:
    """A view may answer at once or be a coroutine function."""
    return await given if isawaitable(given) else given


def answer(body: Json, status: int = 200) -> web.Response:
    """JSON; NaN and infinity become null, for JSON has no words for them."""
    return web.Response(body=_encode(body), status=status, content_type="application/json", charset="utf-8")


def problem(status: int, why: str) -> web.Response:
    return answer({"error": why}, status)


def whole(text: str, *, most: int) -> int | None:
    """A number from 0 to `most` in plain digits, else None.

    >>> whole("12", most=100), whole("-1", most=100), whole("٣", most=100), whole("9" * 30, most=100)
    (12, None, None, None)
    """
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(most)):
        return None
    return number if (number := int(text)) <= most else None


def _plain(value: object) -> Json:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
