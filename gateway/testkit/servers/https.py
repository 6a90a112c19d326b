"""A receiver of CloudEvents over HTTP or HTTPS with scripted faults."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.testkit import temporary
from gateway.testkit.servers.ports import free_port


class Receiver:
    """Keeps events by id. The port stays the same over `stop` and `start`; what was received is kept.

    status        answer every request with this status instead, with `retry_after` if set
    poison        ids that are refused with 422 for ever (a whole batch that holds one is refused)
    hang          accept and answer nothing
    token         if set, requests without this bearer token get 401
    on_event      called with each new event's document
    """

    def __init__(self, *, tls: bool = False, token: str | None = None, on_event: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.port = free_port()
        self.events: dict[str, dict[str, Any]] = {}
        self.order: list[str] = []
        self.requests = 0
        self.repeats = 0
        self.status: int | None = None
        self.retry_after: str | None = None
        self.poison: set[str] = set()
        self.hang = False
        self._token, self._on_event = token, on_event
        self._runner: web.AppRunner | None = None
        self._release = asyncio.Event()
        self.ca: Path | None = None
        self._tls = self._make_tls() if tls else None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}/events"

    async def start(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/events", self._receive)
        for method, path, handler in self.routes():
            app.router.add_route(method, path, handler)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self._release = asyncio.Event()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()

    async def stop(self) -> None:
        self._release.set()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def resume(self) -> None:
        """End `hang`."""
        self.hang = False
        self._release.set()
        self._release = asyncio.Event()

    async def __aenter__(self) -> Receiver:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def routes(self) -> list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """More routes, for subclasses."""
        return []

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests += 1
        if self.hang:
            await self._release.wait()
            return web.Response(status=503)
        if self._token is not None and request.headers.get("Authorization") != f"Bearer {self._token}":
            return web.json_response({"error": "bad token"}, status=401)
        if self.status is not None:
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            return web.Response(status=self.status, text="as scripted", headers=headers)
        parsed = json.loads(body)
        documents = parsed if isinstance(parsed, list) else [parsed]
        if refused := [d["id"] for d in documents if d["id"] in self.poison]:
            return web.json_response({"error": "refused", "ids": refused}, status=422)
        for document in documents:
            self._take(document)
        return web.Response(status=202)

    def _take(self, document: dict[str, Any]) -> None:
        if document["id"] in self.events:
            self.repeats += 1
            return
        self.events[document["id"]] = document
        self.order.append(document["id"])
        if self._on_event:
            self._on_event(document)

    def _make_tls(self) -> ssl.SSLContext:
        import trustme

        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        self.ca = temporary.folder("ca") / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        return context
