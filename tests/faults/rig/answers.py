"""What a CRM may do instead of its job: whims for `Crm.before` (nothing is stored) and `Crm.after` (it is)."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from rig.crm import Whim


def status(code: int, *, retry_after: str = "", text: str = "as told") -> Whim:
    """This status and nothing else."""

    async def answer(_request: web.Request, _documents: list[dict[str, Any]]) -> web.StreamResponse:
        return web.Response(status=code, text=text, headers={"Retry-After": retry_after} if retry_after else {})

    return answer


def slow(seconds: float) -> Whim:
    """Takes its time, and then goes on as ever."""

    async def answer(_request: web.Request, _documents: list[dict[str, Any]]) -> None:
        await asyncio.sleep(seconds)

    return answer


def cut(said: bytes = b"") -> Whim:
    """These bytes, and the connection is reset: half an answer, garbage, or none at all."""

    async def answer(request: web.Request, _documents: list[dict[str, Any]]) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(said)
        await asyncio.sleep(0.05)  # what was said goes out before the reset
        if request.transport is not None:  # the daemon may have hung up by itself
            request.transport.abort()
        return web.Response(status=599)

    return answer


def refuse_larger(items: int) -> Whim:
    """413 for a request with more events than that."""

    async def answer(_request: web.Request, documents: list[dict[str, Any]]) -> web.StreamResponse | None:
        return web.Response(status=413, text="too large") if len(documents) > items else None

    return answer


def refuse_key(*keys: str) -> Whim:
    """422 for a request that holds the event of one of these orders."""

    async def answer(_request: web.Request, documents: list[dict[str, Any]]) -> web.StreamResponse | None:
        found = {str(((each.get("data") or {}).get("explanation") or {}).get("order")) for each in documents}
        return web.Response(status=422, text="refused") if found & set(keys) else None

    return answer
