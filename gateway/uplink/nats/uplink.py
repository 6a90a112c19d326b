"""Publishes to JetStream; an event counts as sent when the stream has acknowledged it."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Sequence
from typing import Any

import msgspec
from nats.aio.client import Client, RawCredentials
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoServersError
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import NotFoundError

from gateway.contract import DUPLICATE, SENT, Event, NotConnected, Outcome, UplinkContext
from gateway.events.codec import nats_header_block, nats_subject
from gateway.uplink.nats.config import NatsOptions
from gateway.uplink.nats.wire import abort, hpub, send_raw

DUPLICATE_WINDOW_SECONDS = 30 * 60
_NO_RESPONDERS = "503"
_WRONG_LAST_SEQUENCE = 10071
_SEALED = 10109


class _AckError(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: _AckError | None = None


_decode = msgspec.json.Decoder(_Ack).decode


class NatsUplink:
    """One connection, one reply inbox for all acknowledgements, `in_flight` publishes at a time.

    The library's own request per publish costs a future, a timer and an inbox lookup each; here the whole batch shares
    one subscription and one deadline. It never reconnects by itself: the sender builds a new one.
    """

    def __init__(self, options: NatsOptions, context: UplinkContext) -> None:
        self._options, self._context = options, context
        self._client: Client | None = None
        self._inbox = ""
        self._outcomes: dict[int, Outcome] = {}
        self._wanted: set[int] = set()
        self._ticket = 0
        self._most = 0
        self._waiter: asyncio.Future[None] | None = None
        self._said: Exception | None = None

    async def connect(self) -> None:
        options, peer = self._options, self._options.nats
        client = self._client = Client()  # kept from the start, so that `close` finds a half-open one
        try:
            async with asyncio.timeout(min(9.0, options.timeout)):
                await client.connect(**self._arguments())
                await self._check_stream(client)
                self._inbox = client.new_inbox()
                await client.subscribe(f"{self._inbox}.*", cb=self._acknowledged)
        except TimeoutError as exc:
            raise NotConnected(peer, f"no answer within {min(9.0, options.timeout):g} s") from exc
        except NoServersError as exc:
            raise NotConnected(peer, _why(self._said or exc)) from exc
        except (NatsError, OSError, ValueError) as exc:
            raise NotConnected(peer, _why(exc)) from exc

    async def send(self, events: Sequence[Event]) -> list[Outcome]:
        """See the contract. What is not acknowledged within the timeout is unknown: sent again with the same id."""
        client = self._client
        if client is None or not client.is_connected:
            raise NotConnected(self._options.nats, "connection lost")
        first = self._ticket + 1
        self._ticket += len(events)
        in_flight = self._options.in_flight
        window = (in_flight + 1) // 2
        self._outcomes.clear()
        self._wanted = set()
        try:
            async with asyncio.timeout(self._options.timeout):
                for start in range(0, len(events), window):
                    # Down to half, not by one: each wake-up of this task costs as much as several publishes.
                    await self._until(in_flight - window)
                    await self._publish(client, first + start, events[start : start + window])
                await self._until(0)
        except (TimeoutError, NatsError, OSError) as exc:
            reason = "no acknowledgement in time" if isinstance(exc, TimeoutError) else _why(exc)
            unknown = Outcome.retry(reason)
            return [self._outcomes.get(ticket, unknown) for ticket in range(first, first + len(events))]
        finally:
            self._wanted = set()
        return [self._outcomes[ticket] for ticket in range(first, first + len(events))]

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        # Nothing is flushed: what has no acknowledgement is sent again anyway, and a hung server would never take it.
        abort(client)
        if not client.is_connected:  # it has no tasks then, and would wait for ever for a handshake that failed
            return
        try:
            async with asyncio.timeout(2.0):
                await client.close()
        except (TimeoutError, NatsError, OSError):
            return

    async def _publish(self, client: Client, first: int, events: Sequence[Event]) -> None:
        commands = []
        for ticket, event in enumerate(events, first):
            header = nats_header_block(event)
            if len(header) + len(event.data) > client.max_payload:
                self._told(ticket, Outcome.park(f"{len(event.data)} bytes are more than the server takes"))
                continue
            self._wanted.add(ticket)
            commands.append(hpub(nats_subject(event, self._options.subject_prefix), f"{self._inbox}.{ticket}", header, event.data))
        await send_raw(client, commands)

    async def _acknowledged(self, message: Msg) -> None:
        ticket = int(message.subject.rsplit(".", 1)[1])
        if ticket in self._wanted:
            self._told(ticket, self._outcome(message))

    def _told(self, ticket: int, outcome: Outcome) -> None:
        self._outcomes[ticket] = outcome
        self._wanted.discard(ticket)
        if len(self._wanted) <= self._most and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _until(self, most: int) -> None:
        """Wait until at most `most` are unacknowledged; raises NatsError when the connection is lost meanwhile."""
        while len(self._wanted) > most:
            if self._client is None or not self._client.is_connected:
                raise NatsError("connection lost")
            self._most, self._waiter = most, asyncio.get_running_loop().create_future()
            await self._waiter

    async def _lost(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(NatsError("connection lost"))

    async def _error(self, exc: Exception) -> None:
        """The library's default prints a traceback for each."""
        self._said = exc

    def _outcome(self, message: Msg) -> Outcome:
        if message.headers and message.headers.get("Status") == _NO_RESPONDERS:
            return Outcome.hold(f"no stream takes subject {self._options.subject_prefix}.>; is stream {self._options.stream} right?")
        try:
            ack = _decode(message.data)
        except msgspec.MsgspecError as exc:
            return Outcome.retry(f"unreadable acknowledgement: {exc}")
        if ack.error is None:
            return DUPLICATE if ack.duplicate else SENT
        if ack.error.err_code == _WRONG_LAST_SEQUENCE:
            return DUPLICATE
        if ack.error.err_code == _SEALED:
            return Outcome.hold(f"stream {self._options.stream} is sealed")
        if ack.error.code in (400, 413):
            return Outcome.park(f"refused by the stream: {ack.error.description}")
        return Outcome.retry(f"{ack.error.description} ({ack.error.err_code})")

    async def _check_stream(self, client: Client) -> None:
        js = client.jetstream(timeout=min(5.0, self._options.timeout))
        name, subjects = self._options.stream, f"{self._options.subject_prefix}.>"
        try:
            await js.stream_info(name)
        except NotFoundError:
            if not self._options.create_stream:
                why = f"there is no stream {name!r}; create it for subjects {subjects}, or set create_stream: true"
                raise NotConnected(self._options.nats, why) from None
            await js.add_stream(
                StreamConfig(name=name, subjects=[subjects], storage=StorageType.FILE, duplicate_window=DUPLICATE_WINDOW_SECONDS)
            )

    def _arguments(self) -> dict[str, Any]:
        options, secret = self._options, self._context.secret
        given: dict[str, Any] = {
            "servers": options.servers,
            "name": f"lineside {self._context.source}",
            "allow_reconnect": False,
            # Without these the library tries a dead server for two minutes before it says so.
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": 0,
            "connect_timeout": min(5.0, options.timeout),
            # The outbox is the buffer: what cannot be sent now must fail now.
            "pending_size": -1,
            "ping_interval": 5,
            "max_outstanding_pings": 2,
            "error_cb": self._error,
            "disconnected_cb": self._lost,
            "closed_cb": self._lost,
        }
        if options.credentials:
            given["user_credentials"] = RawCredentials(secret(options.credentials))
        if options.user and options.password:
            given |= {"user": options.user, "password": secret(options.password)}
        if options.token:
            given["token"] = secret(options.token)
        if options.ca or any(server.startswith("tls:") for server in options.servers):
            given["tls"] = ssl.create_default_context(cafile=options.ca)
        return given


def _why(exc: BaseException) -> str:
    if isinstance(exc, OSError) and (exc.errno or 0) > 0 and not isinstance(exc, ssl.SSLError):
        return os.strerror(exc.errno or 0).lower()
    text = str(exc).removeprefix("nats: ")
    return text[:200] or type(exc).__name__
