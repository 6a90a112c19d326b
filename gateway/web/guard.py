"""What every answer has in common: who may ask, which headers protect the page, what an error looks like."""

from __future__ import annotations

import errno
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec
from aiohttp import web

from gateway.web.ingest import PATH

log = logging.getLogger("lineside")

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Everything comes from us or is not loaded at all.
CONTENT_POLICY: Final = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CONTENT_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def guard(app: web.Application, host: str) -> None:
    """Put the guards before every route of `app`, which will listen on `host`."""
    app.on_response_prepare.append(_protect)
    app.middlewares.append(Errors().middleware)
    if is_loopback(host):
        app.middlewares.append(_only_loopback_names)


def is_loopback(host: str) -> bool:
    """
    >>> [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "127.0.0.1.evil.example")]
    [True, True, True, False, False]
    """
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Errors:
    """Answers every failure as JSON; a route that fails is logged once, and once when it works again."""

    def __init__(self) -> None:
        self._failing: set[str] = set()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else ""
        try:
            response = await handler(request)
        except web.HTTPException as exc:
            headers = {"Allow": exc.headers["Allow"]} if "Allow" in exc.headers else {}
            return problem(exc.status, exc.reason.lower(), headers)
        except Exception as exc:  # a page that fails must not take the gateway with it
            if request.content.exception() is not None:  # who sends went away: no failure of the route
                return problem(400, "the request did not come whole", {})
            if isinstance(exc, OSError) and exc.errno == errno.ENAMETOOLONG:  # asked for below /static
                return problem(404, "not found", {})
            if route not in self._failing:
                self._failing.add(route)
                log.error("failed", extra={"fields": {"route": route, "why": type(exc).__name__}}, exc_info=exc)
            return problem(500, "internal error, see the log of the gateway", {})
        if route in self._failing:
            self._failing.discard(route)
            log.info("back", extra={"fields": {"route": route}})
        return response


@web.middleware
async def _only_loopback_names(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A foreign name in Host means that a browser was told our address by somebody else's DNS.

    What is posted may come through a proxy on this machine under the name the plant knows; its source asks for a token,
    which no web site can make a browser send.
    """
    resource = request.match_info.route.resource
    posted = resource is not None and resource.canonical == PATH
    if not posted and not is_loopback(_name(request.headers.get("Host", ""))):
        return problem(421, "open this page as http://127.0.0.1 or http://localhost", {})
    return await handler(request)


def _name(host: str) -> str:
    """Without the port: a tunnel may have changed it."""
    return host[1 : host.find("]")] if host.startswith("[") else host.rsplit(":", 1)[0]


async def _protect(_: web.Request, response: web.StreamResponse) -> None:
    protect(response)


def protect(response: web.StreamResponse) -> None:
    """What every answer carries."""
    own = response.headers.get("Cache-Control")  # a contract may be kept: its hash says whether it is still the one
    response.headers.update(HEADERS | ({"Cache-Control": own} if own else {}))
    response.headers["Server"] = "lineside"  # not which libraries in which versions


def problem(status: int, why: str, headers: dict[str, str], **facts: str) -> web.Response:
    """What every refusal looks like."""
    body = msgspec.json.encode({"error": why, **facts})
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8", headers=headers)


def whole(text: str, *, most: int) -> int | None:
    """A number from 0 to `most` in plain digits, else None.

    >>> whole("12", most=100), whole("-1", most=100), whole("٣", most=100), whole("9" * 30, most=100)
    (12, None, None, None)
    """
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(most)):
        return None
    return number if (number := int(text)) <= most else None
