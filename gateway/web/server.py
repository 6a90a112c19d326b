"""The HTTP server: routes, and what each of them answers."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from importlib.resources import files
from inspect import isawaitable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from aiohttp import web

from gateway.contract import Json
from gateway.telemetry.counts import Counts
from gateway.web import registry
from gateway.web.access import NOBODY, WHO, Access
from gateway.web.guard import guard, whole
from gateway.web.hands import Changes
from gateway.web.ingest import Ingest
from gateway.web.listen import Listening
from gateway.web.login import Login
from gateway.web.view import View

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MOST_INCIDENTS: Final = 500
STATIC: Final = Path(str(files("gateway.web") / "static"))


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """Who may come in, and what they may change."""

    access: Access
    login: Login
    changes: Changes
    tls: ssl.SSLContext | None = None
    security_txt: bytes | None = None


class PageServer:
    """Serves one view on one address.

    host       on a loopback address the Host header is checked, so that no web site can reach in by DNS rebinding
    port       0 lets the system choose
    entrance   None: everybody may read, and nothing may be changed but by what `ingest` takes
    """

    def __init__(
        self,
        view: View,
        host: str = "127.0.0.1",
        port: int = 8080,
        ingest: Ingest | None = None,
        entrance: Entrance | None = None,
        counts: Counts | None = None,
    ) -> None:
        self._view, self._host, self._port, self._ingest, self._entrance = view, host, port, ingest, entrance
        self._counts = counts or Counts()
        self.security_txt = entrance.security_txt if entrance is not None else None
        """Served from now on."""
        self._runner: web.AppRunner | None = None
        self._listening: Listening | None = None

    async def start(self) -> int:
        """Listen and return the port. Raises OSError when the address is taken or is not ours."""
        app = web.Application(client_max_size=0)  # who takes a body reads it within bounds of their own
        guard(app, self._host)
        if self._entrance is not None:
            app.middlewares.append(self._entrance.access.middleware)
        app.add_routes(self._routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        listening = Listening(runner, self._counts, self._entrance.tls if self._entrance else None)
        try:
            port = await listening.open(self._host, self._port)
        except (OSError, asyncio.CancelledError):
            await listening.close()
            await runner.cleanup()
            raise
        self._runner, self._listening = runner, listening
        return port

    async def stop(self) -> None:
        """Close every connection; twice is fine."""
        runner, self._runner = self._runner, None
        listening, self._listening = self._listening, None
        if listening is not None:
            await listening.close()
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
            web.get("/api/me", self._me),
            web.get("/metrics", self._metrics),
            web.get("/healthz", self._healthz),
            *registry.routes(),
            *(self._ingest.routes() if self._ingest is not None else ()),
            *(self._guarded(self._entrance) if self._entrance is not None else ()),
        ]

    def _guarded(self, entrance: Entrance) -> list[web.AbstractRouteDef]:
        return [
            web.get("/login", self._login_page),
            web.get("/.well-known/security.txt", self._security_txt),
            *entrance.login.routes(),
            *entrance.changes.routes(),
        ]

    async def _login_page(self, _: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "login.html")

    async def _security_txt(self, _: web.Request) -> web.StreamResponse:
        if self.security_txt is None:
            raise web.HTTPNotFound
        return web.Response(body=self.security_txt, content_type="text/plain", charset="utf-8")

    async def _page(self, _: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html")

    async def _me(self, request: web.Request) -> web.Response:
        who = request.get(WHO, NOBODY)
        assert who.role is not None  # noqa: S101  `Access` has let nobody else in
        return answer({"name": who.name, "role": who.role.word, "kind": who.kind})

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

    async def _healthz(self, request: web.Request) -> web.Response:
        """Who is not logged in learns whether it is well, and no more."""
        healthy, facts = await told(self._view.healthy())
        who = request.get(WHO)
        told_more = facts if who is None or who.role is not None else {}
        return answer({"healthy": healthy, **told_more}, status=200 if healthy else 503)


async def told(given: Json) -> Json:
    """A view may answer at once or be a coroutine function."""
    return await given if isawaitable(given) else given


def answer(body: Json, status: int = 200) -> web.Response:
    """JSON; NaN and infinity become null, for JSON has no words for them."""
    return web.Response(body=_encode(body), status=status, content_type="application/json", charset="utf-8")


def problem(status: int, why: str) -> web.Response:
    return answer({"error": why}, status)


def _plain(value: object) -> Json:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
