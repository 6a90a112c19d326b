"""Who asks, and whether they may: a session's cookie, a token, or nobody. Before every route.

While there is no account, the page listens on loopback and everybody there may read, and nobody may change anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from aiohttp import web

from gateway.accounts.roles import Role
from gateway.accounts.store import Watched
from gateway.contract import Clock
from gateway.web.guard import Handler, problem
from gateway.web.ingest import PATH as INGEST
from gateway.web.sessions import Sessions

SAFE: Final = frozenset({"GET", "HEAD"})
LOGIN_PAGE: Final = "/login"
PUBLIC: Final = frozenset({LOGIN_PAGE, "/api/login", "/api/notice", "/healthz", "/static", "/.well-known/security.txt", INGEST})
"""What needs no login. `INGEST` asks for a token of its own."""
NEEDS: Final[Mapping[tuple[str, str], Role]] = {
    ("POST", "/api/logout"): Role.VIEWER,
    ("POST", "/api/shelves"): Role.OPERATOR,
    ("DELETE", "/api/shelves/{number}"): Role.OPERATOR,
    ("POST", "/api/reload"): Role.ENGINEER,
    ("GET", "/api/audit"): Role.ENGINEER,
    ("GET", "/api/accounts"): Role.ADMIN,
    ("POST", "/api/accounts/{name}/lock"): Role.ADMIN,
    ("POST", "/api/accounts/{name}/unlock"): Role.ADMIN,
}
ACTIVE: Final = "X-Lineside-Active"
"""With what the page asks after somebody touched it; what it asks by itself does not keep a session alive."""


@dataclass(frozen=True)
class Who:
    """`kind` nobody: there is no account, and everybody on this machine may read. `ended`: why a session is none any more."""

    name: str
    role: Role | None
    kind: Literal["user", "token", "nobody"]
    ended: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({'page' if self.kind == 'user' else self.kind})"


NOBODY: Final = Who("", Role.VIEWER, "nobody")
WHO: Final = web.RequestKey("who", Who)


def needed(method: str, route: str) -> Role:
    """What is not named reads, or is the admin's."""
    method = "GET" if method == "HEAD" else method
    return NEEDS.get((method, route), Role.VIEWER if method in SAFE else Role.ADMIN)


class Access:
    """Decides about each request.

    accounts   as they are now
    """

    def __init__(self, accounts: Watched, sessions: Sessions, clock: Clock) -> None:
        self.accounts, self.sessions, self._clock = accounts, sessions, clock

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else ""
        who = self.who(request)
        request[WHO] = who
        posted = request.method not in SAFE and route != INGEST
        if posted and who.kind != "token" and resource is not None and not of_this_page(request):
            return problem(403, "this was not sent by our own page", {})
        if route in PUBLIC:
            return await handler(request)
        if who.role is None:
            return self._login(request, route, who)
        if resource is not None and (least := needed(request.method, route)) > who.role:
            return problem(403, self._why_not(least, who), {})
        return await handler(request)

    def who(self, request: web.Request) -> Who:
        """A token goes first: whoever shows one does not mean the cookie."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            found = self.accounts.accounts.bearer(given.strip(), self._clock.now_ns() / 1e9)
            return Who(found[0], found[1], "token") if found is not None else Who("", None, "token")
        if not self.accounts.needed:
            return NOBODY
        token = request.cookies.get(cookie_name(request), "")
        used = request.method not in SAFE or ACTIVE in request.headers or request.path == "/"
        session = self.sessions.find(token, self.accounts.accounts.users, used=used) if token else None
        if session is None:
            return Who("", None, "user")
        return Who(session.user, None if session.ended else session.role, "user", session.ended)

    @staticmethod
    def _login(request: web.Request, route: str, who: Who) -> web.StreamResponse:
        if route == "/" and who.kind == "user":
            return web.Response(status=302, headers={"Location": LOGIN_PAGE + (f"?why={who.ended}" if who.ended else "")})
        headers = {"WWW-Authenticate": "Bearer"} if who.kind == "token" else {}
        return problem(401, "log in", headers, ended=who.ended) if who.ended else problem(401, "log in", headers)

    @staticmethod
    def _why_not(least: Role, who: Who) -> str:
        if who.kind == "nobody":
            return "this needs an account; make one with: lineside user add NAME --role admin"
        return f"this needs the role {least.word}"


def cookie_name(request: web.Request) -> str:
    """Cookies know no ports, so two gateways behind one tunnel would log each other out. Behind TLS a name the browser itself protects.

    >>> from types import SimpleNamespace as R
    >>> cookie_name(R(secure=True, host="gw:8443")), cookie_name(R(secure=False, host="localhost"))
    ('__Host-lineside-8443', 'lineside')
    """
    port = request.host.rpartition(":")[2]
    return f"{'__Host-' if request.secure else ''}lineside{f'-{port}' if port.isascii() and port.isdigit() else ''}"


def of_this_page(request: web.Request) -> bool:
    """A browser says where a request comes from; one that says nothing is no browser, and has no business with a cookie.

    A form of another site cannot send JSON, nor a request without a type.
    """
    if request.content_type not in ("application/json", "application/octet-stream"):
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return site is not None
    try:
        return urlsplit(origin).netloc == request.host
    except ValueError:  # half an IPv6 address
        return False
