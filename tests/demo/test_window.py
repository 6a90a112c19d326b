"""The demo's one address: page and inbox."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.demo.window import Window


async def _behind(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.app[NAME]} {request.rel_url}")


NAME = web.AppKey("name", str)


def server(name: str) -> TestServer:
    app = web.Application()
    app[NAME] = name
    app.router.add_get("/{path:.*}", _behind)
    return TestServer(app)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("/", "page /?inbox=/inbox"),
        ("/inbox", "page /?inbox=/inbox"),
        ("/?inbox=/inbox", "page /?inbox=/inbox"),
        ("/api/status?full=1", "page /api/status?full=1"),
        ("/inbox/cases", "cases /cases"),
    ],
)
async def test_who_types_the_address_sees_page_and_cases(asked: str, answered: str) -> None:
    async with server("page") as page, server("cases") as cases, aiohttp.ClientSession() as session:
        window = Window(session, *(str(each.make_url("")).rstrip("/") for each in (page, cases)))
        address = await window.start(0)
        try:
            async with session.get(f"{address}{asked}") as answer:
                assert (answer.status, await answer.text()) == (200, answered)
        finally:
            await window.stop()
