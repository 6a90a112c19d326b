"""Logging in and out: ``/api/login``, ``/api/logout``, ``/api/notice``."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from math import ceil
from typing import Final

import msgspec
from aiohttp import web

from gateway.accounts.passwords import MOST as MOST_CHARACTERS
from gateway.accounts.passwords import NOBODY, matches
from gateway.accounts.store import User
from gateway.telemetry.counts import Counts
from gateway.web.access import WHO, Access, cookie_name
from gateway.web.backoff import Attempts
from gateway.web.failures import Failures
from gateway.web.guard import problem
from gateway.web.place import group
from gateway.web.trail import Note
from gateway.web.visits import Visits

log = logging.getLogger("lineside")
MOST_BYTES: Final = 4096
BODY_SECONDS: Final = 10.0
_MOST_WAITING: Final = 4
"""Passwords that are being compared; each takes a tenth of a second and 16 MB."""


class Given(msgspec.Struct, forbid_unknown_fields=True):
    """Of a login."""

    user: str
    password: str


class Login:
    """The routes.

    thread   compares passwords, so that nobody else waits for it
    """

    def __init__(
        self, access: Access, note: Note, counts: Counts, thread: Executor, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._access, self._counts, self._thread = access, counts, thread
        self.banner = ""
        self._failures = Failures(lambda name, after: note("login failed", who=name, after=after), monotonic)
        self._visits = Visits(note, monotonic)
        self._attempts = Attempts(monotonic)
        self._waiting = 0

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/api/notice", self._notice),
            web.post("/api/login", self._login),
            web.post("/api/logout", self._logout),
        ]

    def sum_up(self, *, now: bool = False) -> None:
        """Lines of the audit that stand for many; called again and again."""
        self._failures.sum_up(now=now)
        self._visits.sum_up(now=now)

    async def _notice(self, _: web.Request) -> web.Response:
        return _answer({"banner": self.banner, "needed": self._access.accounts.needed})

    async def _login(self, request: web.Request) -> web.Response:
        try:
            given = msgspec.json.decode(await read_body(request), type=Given)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return problem(400, "send {user, password} as JSON", {})
        address = group(request.remote or "")
        if (wait := self._attempts.wait(given.user, address)) > 0:
            self._counts.add("logins", result="too_fast")
            return problem(429, f"too many attempts; wait {ceil(wait)} s", {"Retry-After": str(ceil(wait))})
        if self._waiting >= _MOST_WAITING:
            return problem(503, "too many logins at once", {"Retry-After": "1"})
        account = await self._judge(given, address)
        if account is None:
            self._counts.add("logins", result="failed")
            self._failures.add(given.user, address)
            return problem(401, "user or password is wrong", {})
        return self._begin(request, given.user, account, address)

    async def _judge(self, given: Given, address: str) -> User | None:
        """As much work for a user that is not there, or is locked, as for one that is."""
        account = self._access.accounts.accounts.users.get(given.user)
        self._attempts.begin(given.user, address)
        self._waiting += 1
        try:
            stored = account.password if account is not None else NOBODY
            fine = await asyncio.get_running_loop().run_in_executor(self._thread, matches, given.password[: MOST_CHARACTERS + 1], stored)
        finally:
            self._waiting -= 1
        if account is None or not fine or account.locked:
            return None
        self._attempts.passed(given.user, address)
        return account

    def _begin(self, request: web.Request, user: str, account: User, address: str) -> web.Response:
        self._access.sessions.end(request.cookies.get(cookie_name(request), ""))
        token = self._access.sessions.begin(user, account)
        self._counts.add("logins", result="ok")
        self._visits.add("login", user, address)
        response = _answer({"name": user, "role": account.role})
        response.set_cookie(cookie_name(request), token, path="/", httponly=True, secure=request.secure, samesite="Strict")
        return response

    async def _logout(self, request: web.Request) -> web.Response:
        name = cookie_name(request)
        if self._access.sessions.end(request.cookies.get(name, "")):  # a token has none, and is not to fill the audit
            self._visits.add("logout", request[WHO].name, group(request.remote or ""))
        response = _answer({})
        response.del_cookie(name, path="/", secure=request.secure, httponly=True, samesite="Strict")
        return response


async def read_body(request: web.Request) -> bytes:
    """A small one, that comes soon. Raises HTTPRequestEntityTooLarge, HTTPRequestTimeout."""
    found = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_chunked(MOST_BYTES):
                found += chunk
                if len(found) > MOST_BYTES:
                    raise web.HTTPRequestEntityTooLarge(MOST_BYTES, len(found))
    except TimeoutError as exc:
        raise web.HTTPRequestTimeout from exc
    return found


def _answer(body: dict[str, object]) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json", charset="utf-8")
