"""The HTTP side: routes, log-in, allowances and scripted faults; what is behind it lies in the other files."""

from __future__ import annotations

import asyncio
import json
import re
import time
from email.utils import formatdate
from typing import Any

from aiohttp import web

from gateway.exports.salesforce.folder import source_folder
from gateway.testkit.servers.ports import free_port
from gateway.testkit.servers.salesforce.answers import Refused
from gateway.testkit.servers.salesforce.api import Api
from gateway.testkit.servers.salesforce.faults import Faults, RequestFault
from gateway.testkit.servers.salesforce.flow import Flow
from gateway.testkit.servers.salesforce.limits import Limits
from gateway.testkit.servers.salesforce.login import App, LoginRefused, Logins
from gateway.testkit.servers.salesforce.metadata import objects
from gateway.testkit.servers.salesforce.records import Org
from gateway.testkit.servers.salesforce.tls import Authority

_DATA = re.compile(r"/services/data/v(\d\d)\.0(/.*)?")
_OLDEST, _NEWEST = 46, 67


class Salesforce:
    """An org. The port stays the same over `stop` and `start`; its data are kept.

    ahead     seconds its clock is ahead of ours, also in the header ``Date``
    faults    what goes wrong, see there
    calls     method and path of every request to the API, in order
    logins    sessions and how often somebody asked for one; `app` is what they log in with
    """

    def __init__(self, *, tls: bool = False, app: App | None = None) -> None:
        self.port = free_port()
        self.ahead = 0.0
        self.calls: list[tuple[str, str]] = []
        self.limits, self.faults = Limits(), Faults()
        self._authority = Authority() if tls else None
        self.ca = self._authority.file if self._authority else None
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self.logins = Logins(app or App(), self.url)
        self.org = Org(objects(source_folder()), self.limits, self.faults, self.now)
        self.api = Api(self.org, self.limits, self.now)
        self._runner: web.AppRunner | None = None
        self._release = asyncio.Event()

    def now(self) -> float:
        return time.time() + self.ahead

    def activate(self, name: str) -> Flow:
        """As the administrator does with a draft of the exported folder, for example ``Gateway_Event_to_Case``."""
        flow = Flow(source_folder()[f"force-app/main/default/flows/{name}.flow-meta.xml"], self.org)
        if flow.trigger == "PlatformEvent":
            self.org.published = lambda event: flow.run(event) if event["attributes"]["type"] == flow.object else None
        else:
            self.org.saved = flow.run
        return flow

    @property
    def events(self) -> list[dict[str, Any]]:
        """Published ones, in order."""
        return self.org.events

    @property
    def cases(self) -> list[dict[str, Any]]:
        return list(self.org.records.values())

    async def start(self) -> None:
        self._release = asyncio.Event()
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/services/oauth2/token", self._token)
        app.router.add_route("*", "/services/data{rest:.*}", self._data)
        app.on_response_prepare.append(self._dated)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._authority.server() if self._authority else None).start()

    async def stop(self) -> None:
        self._release.set()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Salesforce:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _dated(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self.now(), usegmt=True)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        if fault := self.faults.of_request(request.path, after=False):
            return await self._fail(request, fault)
        try:
            return web.json_response(self.logins.token(form, request.headers.get("Authorization", ""), self.now()))
        except LoginRefused as exc:
            return web.json_response({"error": exc.error, "error_description": exc.description}, status=400)

    async def _data(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.calls.append((request.method, request.path))
        if fault := self.faults.of_request(request.path, after=False):
            return await self._fail(request, fault)
        try:
            status, answer = self._answer(request, body)
        except Refused as exc:
            return self._said(exc.status, exc.body())
        if fault := self.faults.of_request(request.path, after=True):
            return await self._fail(request, fault)
        return self._said(status, "" if answer is None else json.dumps(answer))

    def _answer(self, request: web.Request, body: bytes) -> tuple[int, Any]:
        if not self.logins.valid(request.headers.get("Authorization", ""), self.now()):
            raise Refused(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if not self.limits.call(self.now()):
            raise Refused(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        found = _DATA.fullmatch(request.rel_url.raw_path)
        if found is None or not _OLDEST <= int(found[1]) <= _NEWEST:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
        return self.api.answer(request.method, found[1], found[2] or "/", dict(request.query), request.headers, body)

    def _said(self, status: int, text: str) -> web.Response:
        headers = {"Sforce-Limit-Info": self.limits.header}
        return web.Response(status=status, text=text or None, content_type="application/json" if text else "", headers=headers)

    async def _fail(self, request: web.Request, fault: RequestFault) -> web.StreamResponse:
        text, headers = fault.text(), {"Content-Type": "application/json", **fault.headers}
        if fault.kind == "hang":
            await self._release.wait()
        if fault.kind in ("hang", "drop"):
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=503)
        if fault.kind == "cut":
            half = web.StreamResponse(status=fault.status, headers={**headers, "Content-Length": str(len(text) + 64)})
            await half.prepare(request)
            await half.write(text[: len(text) // 2].encode())
            assert request.transport is not None
            request.transport.abort()
            return half
        return web.Response(status=fault.status, text=text, headers=headers)
