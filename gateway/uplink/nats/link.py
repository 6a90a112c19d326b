"""One connection with one inbox; sending, examining and feedback stand on it."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import ssl
from collections.abc import Callable
from typing import Any

from nats.aio.subscription import Subscription
from nats.errors import ConnectionClosedError, NoServersError
from nats.errors import Error as NatsError

from gateway.contract import NotConnected, UplinkContext
from gateway.uplink.nats.auth import arguments
from gateway.uplink.nats.config import NatsOptions
from gateway.uplink.nats.wire import Wire, abort, hpub, send_raw

NO_HEADER = b"NATS/1.0\r\n\r\n"
_NO_RESPONDERS = b"NATS/1.0 503"
_CONNECT_SECONDS, _ASK_SECONDS = 9.0, 5.0
_REFUSED = re.compile(r'permissions violation for (publish|subscription)[^"]*"([^"]*)"')


class Refused(Exception):
    """The user may not publish to this subject."""


class Unheard(Exception):
    """Nobody is there who answers on this subject."""


class Link:
    """Opened once. It never reconnects: whoever uses it builds a new one.

    replied   called with ticket, payload and whether nobody was there to take the message
    refused   called with a subject, in lower case, that we may not publish to
    lost      called once when the connection is gone; `why` says the reason
    """

    def __init__(
        self,
        options: NatsOptions,
        context: UplinkContext,
        *,
        replied: Callable[[int, bytes, bool], None] = lambda _ticket, _payload, _unheard: None,
        refused: Callable[[str], None] = lambda _subject: None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._options, self._context = options, context
        self._told_reply, self._told_refused, self._told_lost = replied, refused, lost
        self._client: Wire | None = None
        self._asked: dict[int, tuple[str, asyncio.Future[bytes]]] = {}
        self._ticket = 0
        self._said: Exception | None = None
        self._not_subscribed = ""
        self.inbox = ""

    @property
    def client(self) -> Wire:
        """Raises NotConnected when it is gone."""
        if self._client is None or not self._client.is_connected:
            raise NotConnected(self._options.nats, self.why)
        return self._client

    @property
    def lost(self) -> bool:
        return self._client is None or not self._client.is_connected

    @property
    def why(self) -> str:
        said = self._client.last_error if self._client else None
        return f"connection lost: {reason(said)}" if said else "connection lost"

    async def open(self) -> None:
        """Connect, log in, subscribe to our inbox; raises NotConnected within ten seconds."""
        options, peer = self._options, self._options.nats
        given = arguments(options, self._context) | self._habits()
        client = self._client = Wire(self._replied, self._lost, encrypted=options.encrypted)  # kept, so that `close` finds a half-open one
        limit = min(_CONNECT_SECONDS, options.timeout)
        try:
            async with asyncio.timeout(limit):
                await client.connect(**given)
                if not client.is_connected:  # it takes an end of the stream in place of the first answer for success
                    raise ConnectionResetError(errno.ECONNRESET, "closed by the server")
                self.inbox = client.new_inbox()
                await client.listen(self.inbox)
                await client.heard()  # a refused subscription is told before
        except TimeoutError as exc:
            raise NotConnected(peer, f"no answer within {limit:g} s{self._hint()}") from exc
        except NoServersError as exc:
            raise NotConnected(peer, reason(self._said or exc)) from exc
        except (NatsError, OSError, ValueError) as exc:
            why = self.why if isinstance(exc, ConnectionClosedError) else self._about_tls(exc) or reason(exc)
            raise NotConnected(peer, why) from exc
        if self._not_subscribed:
            raise NotConnected(peer, f"the user may not subscribe to its inbox; {self.inbox_remedy}")

    @property
    def inbox_remedy(self) -> str:
        prefix = self._options.inbox_prefix
        return f'allow subscribe on "{prefix}.>", or set inbox_prefix to what the user may subscribe to'

    async def close(self) -> None:
        """Nothing is flushed: what has no acknowledgement is sent again anyway, and a hung server would never take it."""
        client, self._client = self._client, None
        if client is None:
            return
        abort(client)
        if not client.is_connected:  # it has no tasks then, and would wait for ever for a handshake that failed
            return
        try:
            async with asyncio.timeout(2.0):
                await client.close()
        except (TimeoutError, NatsError, OSError):
            return

    async def subscribe(self, subject: str) -> Subscription:
        """For messages that are no replies. Raises NotConnected."""
        client, self._not_subscribed = self.client, ""
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                subscription = await client.subscribe(subject)
                await client.heard()
        except (NatsError, OSError) as exc:
            raise NotConnected(self._options.nats, self.why if self.lost else reason(exc)) from exc
        if self._not_subscribed:
            raise NotConnected(self._options.nats, f'the user may not subscribe to {subject}; allow subscribe on "{subject}"')
        return subscription

    def tickets(self, count: int) -> int:
        """The first of `count` new ones."""
        first = self._ticket + 1
        self._ticket += count
        return first

    async def ask(self, subject: str, payload: bytes = b"", header: bytes = NO_HEADER) -> bytes:
        """The answer to one request. Raises Refused, Unheard, NotConnected when it is lost meanwhile, and TimeoutError after 5 s."""
        client, ticket = self.client, self.tickets(1)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[ticket] = subject, future
        try:
            async with asyncio.timeout(min(_ASK_SECONDS, self._options.timeout)):
                await send_raw(client, [hpub(subject, f"{self.inbox}.{ticket}", header, payload)])
                return await future
        except TimeoutError:
            raise
        except (NatsError, OSError) as exc:
            raise NotConnected(self._options.nats, reason(exc)) from exc
        finally:
            del self._asked[ticket]

    def _replied(self, ticket: int, payload: bytes, header: bytes | None) -> None:
        unheard = header is not None and header.startswith(_NO_RESPONDERS)
        if ticket not in self._asked:
            self._told_reply(ticket, payload, unheard)
            return
        subject, future = self._asked[ticket]
        if not future.done():
            future.set_exception(Unheard(subject)) if unheard else future.set_result(payload)

    async def _error(self, exc: Exception) -> None:
        """What the server says beside its answers. The library's default prints a traceback for each."""
        self._said = exc
        found = _REFUSED.search(str(exc))
        if found and found[1] == "subscription":
            self._not_subscribed = found[2]
        elif found:
            for subject, future in self._asked.values():
                if subject.lower() == found[2] and not future.done():
                    future.set_exception(Refused(subject))
            self._told_refused(found[2])

    def _lost(self) -> None:
        for _, future in self._asked.values():
            if not future.done():
                future.set_exception(NotConnected(self._options.nats, self.why))
        self._told_lost()

    def _about_tls(self, exc: Exception) -> str:
        """A server that refuses a client by its certificate says so, or only hangs up: which comes first is chance."""
        if isinstance(exc, ssl.SSLError) and exc.reason == "WRONG_VERSION_NUMBER":
            return f"the server speaks before it encrypts{self._hint()}"
        alert = str(exc.reason or "") if isinstance(exc, ssl.SSLError) and not isinstance(exc, ssl.SSLCertVerificationError) else ""
        hung_up = isinstance(exc, ConnectionError) and self._client is not None and self._client.asks_for_certificate
        if not (hung_up or ("ALERT" in alert and ("CERTIFICATE" in alert or "UNKNOWN_CA" in alert))):
            return ""
        if self._options.client_certificate:
            return f"the server refused our client certificate {self._options.client_certificate}"
        return "the server wants a client certificate; set client_certificate and client_key"

    def _hint(self) -> str:
        if self._options.tls_first:
            return "; if the server has no handshake_first in its configuration, leave tls_first out"
        return "; if the server wants the TLS handshake first, set tls_first: true" if self._options.encrypted else ""

    def _habits(self) -> dict[str, Any]:
        return {
            "servers": self._options.servers,
            "name": f"lineside {self._context.source}",
            "inbox_prefix": self._options.inbox_prefix,
            "allow_reconnect": False,
            # Without these the library tries a dead server for two minutes before it says so.
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": 0,
            "connect_timeout": min(5.0, self._options.timeout),
            # The outbox is the buffer: what cannot be sent now must fail now.
            "pending_size": -1,
            # A server that hangs is found after three of these.
            "ping_interval": 4,
            "max_outstanding_pings": 2,
            "error_cb": self._error,
        }


def reason(exc: BaseException) -> str:
    """In the peer's words, one clause."""
    if isinstance(exc, ssl.SSLError):
        return _tls_reason(exc)
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    if isinstance(exc, OSError) and (exc.errno or 0) > 0:
        return os.strerror(exc.errno or 0).lower()
    text = str(exc).removeprefix("nats: ").strip("'")
    return text[:200] or type(exc).__name__


def _tls_reason(exc: ssl.SSLError) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"the server's certificate is refused: {exc.verify_message}"
    return f"TLS: {(exc.reason or str(exc)).lower().replace('_', ' ')}"
