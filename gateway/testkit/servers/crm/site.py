"""What all receivers have in common: a port on loopback, what they saw, who may come in, and a script of faults."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from gateway.testkit.servers.ports import free_port


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came. `path` is as it stood on the wire, percent-encoded; header names are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """Raises ValueError when the body is no JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """A body that is neither bytes nor None goes out as JSON."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        if self.body is None or isinstance(self.body, bytes):
            return web.Response(status=self.status, body=self.body, headers=self.headers)
        return web.json_response(self.body, status=self.status, headers=self.headers)


class Site:
    """Answers every request with `answer`, unless the script or the door says otherwise.

    seen    all requests, also those that were refused
    script  answers that are given first, one each, whatever was asked
    door    who may come in; else 401
    hang    accept and answer nothing, until `resume`
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, door: Callable[[Seen], bool] = lambda _seen: True) -> None:
        self.port = free_port()
        self.seen: list[Seen] = []
        self.script: deque[Answer] = deque()
        self.door = door
        self.hang = False
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._release = asyncio.Event()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    async def start(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{tail:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()

    async def stop(self) -> None:
        self.resume()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def resume(self) -> None:
        """End `hang`."""
        self.hang = False
        self._release.set()
        self._release = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def answer(self, seen: Seen) -> Answer:
        """What this receiver says; for subclasses."""
        return Answer(204)

    def shut(self, seen: Seen) -> Answer:
        """What who may not come in is told; for subclasses."""
        return Answer(401, {"error": "unauthorized"})

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = Seen(request.method, request.rel_url.raw_path_qs, headers, await request.read())
        self.seen.append(seen)
        if self.hang:
            await self._release.wait()
        if self.script:
            return self.script.popleft().response()
        if not self.door(seen):
            return self.shut(seen).response()
        return (await self.answer(seen)).response()


def bearer(*tokens: str) -> Callable[[Seen], bool]:
    """A door for who brings one of these."""
    return lambda seen: seen.headers.get("authorization") in {f"Bearer {token}" for token in tokens}
