"""One broker: how to reach it, who we are there, and which version of the protocol it speaks."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from math import ceil

from drivers.broker import packets
from drivers.broker.connection import ConnectionOptions
from drivers.broker.framing import CONNACK, Framer, Malformed
from drivers.broker.identity import Identity
from drivers.broker.inflight import Inflight
from drivers.broker.link import Link, why
from drivers.broker.packets import CREDENTIALS_REFUSED, VERSION_REFUSED, Connack, Will
from drivers.broker.session import Session
from drivers.certificates import own_end, peer_end
from gateway.contract import ConfigError, NotConnected, SourceContext

CONNECT_SECONDS = 9.0
SILENT_SECONDS = 3.0


class VersionRefused(NotConnected):
    """The broker does not speak this version: in its words, or it closes without any."""


class VersionUnanswered(VersionRefused):
    """It may not understand the question (amqtt waits for more of it), or it may be slow: not remembered over a restart."""


@asynccontextmanager
async def connecting(peer: str) -> AsyncIterator[None]:
    """Around `Broker.connect` and what follows it at once: raises NotConnected, in time, whatever went wrong."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            yield
    except TimeoutError as exc:
        raise NotConnected(peer, f"no answer within {CONNECT_SECONDS:g} s") from exc
    except OSError as exc:
        raise NotConnected(peer, why(exc)) from exc
    except Malformed as exc:
        raise NotConnected(peer, f"no MQTT as we know it: {exc}") from exc


class Broker:
    """Makes sessions. `identity` is there after the first `connect`.

    persistent   the broker keeps our session while we are away
    ends         when certificates end, of the last connection
    """

    def __init__(self, options: ConnectionOptions, context: SourceContext, *, persistent: bool) -> None:
        self._options, self._context, self._persistent = options, context, persistent
        self._host, self._port = options.peer
        self.peer = f"{self._host}:{self._port}"
        self._inflight = Inflight()
        self._identity: Identity | None = None
        self._speaks: str | None = None
        self.ends: dict[str, datetime] = {}

    @property
    def identity(self) -> Identity:
        assert self._identity is not None, "not connected yet"  # noqa: S101  a bug of ours
        return self._identity

    async def connect(self, will: Will | None = None) -> Session:
        """A session the broker has accepted; inside `connecting`. `will`: published by the broker when it loses us.

        raises NotConnected   refused, in the broker's words
        raises ConfigError    certificate files that are not there or not what they should be
        """
        tls = await asyncio.to_thread(self._prepare)
        if self._options.version != "auto":
            return await self._open(self._options.version, tls, will)
        first = self._speaks or self.identity.version(self.peer) or "5"
        try:
            return await self._open(first, tls, will)
        except VersionRefused as exc:
            other = "3.1.1" if first == "5" else "5"
            session = await self._open(other, tls, will)
            if not isinstance(exc, VersionUnanswered):
                await asyncio.to_thread(self.identity.speaks, self.peer, other)
        self._speaks = other
        return session

    def _prepare(self) -> ssl.SSLContext | None:
        """Files are read here, on a thread."""
        o = self._options
        self._identity = Identity(self._context.state_dir, machine=self._context.name, client_id=o.client_id)
        if not o.tls:
            return None
        try:
            tls = ssl.create_default_context(cafile=o.ca)
            if o.certificate:
                password = self._context.secret(o.key_password) if o.key_password else ""
                tls.load_cert_chain(o.certificate, o.key, password)
            self.ends = own_end(o.certificate)
        except OSError as exc:
            raise ConfigError(f"ca, certificate or key: {why(exc)}") from exc
        return tls

    async def _open(self, version: str, tls: ssl.SSLContext | None, will: Will | None) -> Session:
        link = Link()
        framer = Framer(version5=version == "5", most_bytes=self._options.max_message_kilobytes * 1024)
        self._inflight.begin()
        session = Session(link, framer, self._inflight, self.peer, version5=version == "5")
        try:
            server = self._host if tls else None
            connect = asyncio.get_running_loop().create_connection
            transport, _ = await connect(lambda: link, self._host, self._port, ssl=tls, server_hostname=server)
            if tls:
                self.ends |= peer_end("the broker's", transport)
            await self._introduce(session, will)
        except BaseException:
            link.abort()
            raise
        return session

    async def _introduce(self, session: Session, will: Will | None) -> None:
        o, v5 = self._options, session.version5
        packet = packets.connect(
            self.identity.client_id,
            version5=v5,
            clean=not self._persistent,
            keepalive=ceil(o.keepalive),
            session_expiry=int(o.session_expiry) if self._persistent else 0,
            receive_maximum=o.receive_maximum,
            user=o.user,
            password=self._context.secret(o.password) if o.password else None,
            will=will,
        )
        body = await self._answer(session, packet)
        answer = packets.read_connack(body, version5=v5)
        if answer.refusal:
            raise self._refused(answer)
        session.accepted(answer)
        session.link.keep_alive(answer.keepalive or o.keepalive)
        if not answer.session_present:
            self._inflight.forget()

    async def _answer(self, session: Session, packet: bytes) -> bytes:
        patience = SILENT_SECONDS if session.version5 and self._options.version == "auto" else None
        try:
            async with asyncio.timeout(patience):
                return await session.ask(packet, CONNACK)
        except TimeoutError as exc:
            raise VersionUnanswered(self.peer, f"no answer within {SILENT_SECONDS:g} s") from exc
        except NotConnected as exc:
            if session.version5 and session.link.hung_up:
                raise VersionRefused(self.peer, exc.why) from exc
            raise

    def _refused(self, answer: Connack) -> NotConnected:
        if answer.code in VERSION_REFUSED:
            return VersionRefused(self.peer, f"refused: {answer.refusal}")
        who = f"as user {self._options.user!r}" if self._options.user else "without a user"
        login = answer.code in CREDENTIALS_REFUSED
        return NotConnected(self.peer, f"refused: {answer.refusal}" + (f" ({who})" if login else ""), login=login)
