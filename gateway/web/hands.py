"""What may be changed over HTTP, by whom is checked before (`access.NEEDS`); each change is audited with its user."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from typing import Protocol

import msgspec
from aiohttp import web

from gateway.accounts.store import changing
from gateway.contract import ConfigError, Json
from gateway.web.access import WHO, Access
from gateway.web.guard import Handler, problem, whole
from gateway.web.login import read_body
from gateway.web.pace import Pace
from gateway.web.trail import Note

MOST_LINES = 1000
RETRY_AFTER_SECONDS = 10
_MOST_NUMBER = 10**12 - 1


class Unwanted(Exception):
    """It cannot be done like this; the message says why."""


class Unable(Exception):
    """Not now, whoever asks: the disk refuses. The message says why."""


class Hands(Protocol):
    """What the app does for somebody who may. Raises Unwanted, Unable."""

    async def shelve(self, machine: str, condition: str, lasts: str, *, why: str, critical: bool, who: str) -> Json: ...

    async def unshelve(self, number: int, *, who: str) -> None: ...

    async def audit(self, limit: int) -> Json: ...

    def reload(self, *, who: str) -> None: ...


class Wish(msgspec.Struct, forbid_unknown_fields=True, rename={"lasts": "for"}):
    """A shelf: ``{"machine": "press-07", "condition": "oil_*", "for": "8h", "why": "pump is replaced"}``."""

    machine: str
    condition: str
    lasts: str
    why: str
    critical: bool = False


class Changes:
    """The routes."""

    def __init__(self, hands: Hands, access: Access, note: Note, thread: Executor) -> None:
        self._hands, self._access, self._note, self._thread = hands, access, note, thread
        self._pace = Pace()

    def routes(self) -> list[web.AbstractRouteDef]:
        paced = self._pace.of
        return [
            web.post("/api/shelves", paced(_able(self._shelve))),
            web.delete("/api/shelves/{number}", paced(_able(self._unshelve))),
            web.post("/api/reload", paced(self._reload)),
            web.get("/api/audit", _able(self._audit)),
            web.get("/api/accounts", self._accounts),
            web.post("/api/accounts/{name}/lock", paced(self._lock)),
            web.post("/api/accounts/{name}/unlock", paced(self._lock)),
        ]

    async def _shelve(self, request: web.Request) -> web.Response:
        try:
            wish = msgspec.json.decode(await read_body(request), type=Wish)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            return problem(400, f"send {{machine, condition, for, why, critical}} as JSON: {exc}", {})
        who = str(request[WHO])
        try:
            made = await self._hands.shelve(wish.machine, wish.condition, wish.lasts, why=wish.why, critical=wish.critical, who=who)
        except Unwanted as exc:
            return problem(400, str(exc), {})
        return _answer(made, 201)

    async def _unshelve(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        if (found := whole(number, most=_MOST_NUMBER)) is None:
            return problem(404, "no such shelf", {})
        try:
            await self._hands.unshelve(found, who=str(request[WHO]))
        except Unwanted as exc:
            return problem(404, str(exc), {})
        return _answer({})

    async def _reload(self, request: web.Request) -> web.Response:
        self._hands.reload(who=str(request[WHO]))
        return _answer({"asked": True}, 202)

    async def _audit(self, request: web.Request) -> web.Response:
        limit = whole(request.query.get("limit", "100"), most=MOST_LINES)
        if not limit:
            return problem(400, f"limit must be a whole number from 1 to {MOST_LINES}", {})
        return _answer(await self._hands.audit(limit))

    async def _accounts(self, _: web.Request) -> web.Response:
        known = self._access.accounts.accounts
        users = [{"name": name, "role": each.role, "locked": each.locked} for name, each in known.users.items()]
        tokens = [{"name": name, "role": each.role, "until": each.until or None} for name, each in known.tokens.items()]
        return _answer({"users": users, "tokens": tokens, "sessions": len(self._access.sessions)})

    async def _lock(self, request: web.Request) -> web.Response:
        name, lock = request.match_info["name"], request.path.endswith("/lock")
        who = request[WHO]
        if lock and who.kind == "user" and name == who.name:
            return problem(400, "nobody locks themselves out", {})
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._set_lock, name, lock)
        except KeyError:
            return problem(404, "no such user", {})
        except (ConfigError, OSError) as exc:
            return problem(503, str(exc), {})
        self._note("account locked" if lock else "account unlocked", who=str(request[WHO]), name=name)
        return _answer({})

    def _set_lock(self, name: str, lock: bool) -> None:
        with changing(self._access.accounts.folder) as accounts:
            accounts.users[name] = msgspec.structs.replace(accounts.users[name], locked=lock)
        self._access.accounts.look()


def _able(handler: Handler) -> Handler:
    """503 for what the disk refuses: asked again later, it works."""

    async def asked(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Unable as exc:
            return problem(503, str(exc), {"Retry-After": str(RETRY_AFTER_SECONDS)})

    return asked


def _answer(body: Json, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json", charset="utf-8")
