"""The demo's one address: the gateway's page, and the CRM's inbox beside it under ``/inbox``.

The page loads nothing from another origin, and the inbox is another process; so the demo stands before both.
"""

from __future__ import annotations

from typing import Final

import aiohttp
from aiohttp import web

from gateway.web.guard import guard

HOST: Final = "127.0.0.1"
INBOX: Final = "/inbox"
_KEPT: Final = ("Content-Type", "ETag", "Cache-Control")


class Window:
    """Hands on what is asked with GET. `page` and `cases` are the addresses behind it."""

    def __init__(self, session: aiohttp.ClientSession, page: str, cases: str) -> None:
        self._session, self._page, self._cases = session, page, cases
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> str:
        """Its address. Raises OSError."""
        app = web.Application()
        guard(app, HOST)
        for short in ("/", INBOX):
            app.router.add_get(short, self._page_with_inbox)
        app.router.add_get(INBOX + "{path:/.*}", self._inbox)
        app.router.add_get("/{path:.*}", self._gateway)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, port).start()
        return f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Twice is fine."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _page_with_inbox(self, request: web.Request) -> web.Response:
        """Who types the address alone sees the cases, too."""
        if request.path == "/" and "inbox" in request.query:
            return await self._gateway(request)
        return web.Response(status=302, headers={"Location": f"/?inbox={INBOX}"})

    async def _inbox(self, request: web.Request) -> web.Response:
        return await self._ask(f"{self._cases}{request.match_info['path']}")

    async def _gateway(self, request: web.Request) -> web.Response:
        return await self._ask(f"{self._page}{request.rel_url}")

    async def _ask(self, url: str) -> web.Response:
        try:
            async with self._session.get(url, allow_redirects=False) as answer:
                headers = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
                return web.Response(status=answer.status, body=await answer.read(), headers=headers)
        except aiohttp.ClientError as exc:
            raise web.HTTPBadGateway from exc
