"""Where connections come in: how many there may be, how long one may say nothing, TLS.

The page is a window, not the line: whoever opens a thousand connections is turned away before a request is read.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from gateway.telemetry.counts import Counts
from gateway.web.guard import problem, protect
from gateway.web.place import LOCAL, group

log = logging.getLogger("lineside")
MOST: Final = 100
"""Connections, but for those of this machine: they have their own."""
MOST_OF_ONE: Final = 32
HEADER_SECONDS: Final = 15
"""A connection whose next request has not come by then, line and headers, is closed."""
HANDSHAKE_SECONDS: Final = 10.0
_UNREAD_MS: Final = 30_000
_BACKLOG: Final = 128
_AT_ONCE, _REST_SECONDS = 32, 0.05


class Listening:
    """The sockets of one server, and what came in through them."""

    def __init__(self, runner: web.AppRunner, counts: Counts, tls: ssl.SSLContext | None = None) -> None:
        self._runner, self._counts, self._tls = runner, counts, tls
        self._from: Counter[str] = Counter()
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._new: set[socket.socket] = set()

    async def open(self, host: str, port: int) -> int:
        """Returns the port. Raises OSError when the address is taken or is not ours."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                self._sockets.append(_bound(family, address))
        except OSError:
            self._close_sockets()
            raise
        for each in self._sockets:
            asyncio.get_running_loop().add_reader(each.fileno(), self._accept, each)
        return int(self._sockets[0].getsockname()[1])

    async def close(self) -> None:
        """No more connections; those that are there are the runner's to end."""
        self._close_sockets()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for connection in self._new:
            connection.close()

    def _close_sockets(self) -> None:
        for each in self._sockets:
            asyncio.get_running_loop().remove_reader(each.fileno())
            each.close()
        self._sockets.clear()

    def _accept(self, listening: socket.socket) -> None:
        """All that wait, but not more than some at a time: the line wants its turn."""
        for _ in range(_AT_ONCE):
            try:
                connection, address = listening.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            except OSError as exc:  # no descriptors left: the line needs them more
                self._counts.add("page_refused", reason="descriptors")
                log.debug("cannot accept", extra={"fields": {"why": exc.strerror}})
                break
            source = group(address[0])
            if (reason := self._too_many(source)) is not None:
                self._counts.add("page_refused", reason=reason)
                connection.close()
                continue
            connection.setblocking(False)
            self._from[source] += 1
            self._new.add(connection)
            task = asyncio.create_task(self._serve(connection, source))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._rest(listening)

    def _rest(self, listening: socket.socket) -> None:
        """So many at once are no visitors; those who wait in the kernel wait a little longer."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening.fileno())

        def again() -> None:
            if listening in self._sockets:
                loop.add_reader(listening.fileno(), self._accept, listening)

        loop.call_later(_REST_SECONDS, again)

    def _too_many(self, source: str) -> str | None:
        if self._from[source] >= MOST_OF_ONE:
            return "address"
        if source != LOCAL and sum(self._from.values()) - self._from[LOCAL] >= MOST:
            return "connections"
        return None

    async def _serve(self, connection: socket.socket, source: str) -> None:
        """Hands it to aiohttp; the place is free again when it is closed."""
        left = [source]

        def leave() -> None:
            if left:
                self._from[left.pop()] -= 1
                self._from += Counter()

        self._new.discard(connection)
        seconds = HANDSHAKE_SECONDS if self._tls is not None else None
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: _Handler(self._runner, self._counts, leave), connection, ssl=self._tls, ssl_handshake_timeout=seconds
            )
        except OSError:  # it went away, or knows no TLS: the loop has closed it
            leave()


class _Handler(RequestHandler):
    """aiohttp's connection, which says when it is over, and of what is no request neither into the log nor to the sender what it was.

    Half a header may be half a password.
    """

    def __init__(self, runner: web.AppRunner, counts: Counts, leave: Callable[[], None]) -> None:
        assert runner.server is not None  # noqa: S101  it was set up
        super().__init__(
            runner.server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # which it knows as none
            auto_decompress=False,  # `ingest` does it, within bounds
            keepalive_timeout=HEADER_SECONDS,
            lingering_time=2.0,
        )
        self._counts, self._leave = counts, leave

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Before any route: no header of ours is there yet."""
        if not isinstance(exc, HttpProcessingError | UnicodeError):  # aiohttp repeats an Expect, which may be no text
            return super().handle_error(request, status, exc, message)
        self._counts.add("page_refused", reason="malformed")
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer is sent already")
        response = problem(400, "this is no HTTP request", {})
        protect(response)
        response.force_close()
        return response

    def connection_lost(self, exc: BaseException | None) -> None:
        self._leave()
        super().connection_lost(exc)


def _bound(family: int, address: object) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)  # type: ignore[arg-type]
        made.listen(_BACKLOG)
    except OSError as exc:
        made.close()
        raise OSError(exc.errno, f"cannot listen on {address}: {(exc.strerror or str(exc)).lower()}") from exc
    return made
