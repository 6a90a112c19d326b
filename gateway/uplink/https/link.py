"""One HTTP session: who we are, through which proxy, and answers that are never followed elsewhere and never read without end."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from gateway.contract import Json, NotConnected, SecretRef, UplinkContext
from gateway.uplink.https import signing
from gateway.uplink.https.answers import Answer, excerpt
from gateway.uplink.https.config import HttpsOptions
from gateway.uplink.https.encryption import context_of, in_words, refuses_us, stamp_of, why
from gateway.uplink.https.masking import Masking
from gateway.uplink.https.oauth import LoginRefused, Token, Tokens
from gateway.uplink.https.outward import Proxy, port_of, proxy_for
from gateway.uplink.https.skew import Skew

_REACH_SECONDS = 9.0
_DRAIN_SECONDS = 1.0
_DRAIN_MOST = 64 * 1024
# Beyond this aiohttp wants a file, so that it can send in pieces.
_LARGE = 1 << 20
# Answers of an address that somebody has moved away from.
_ELSEWHERE = (301, 302, 307, 308, 404, 410, 421)


UnderWay = Callable[[bool], None]


class Unanswered(Exception):
    """The request went out, and no answer came: it may have been taken."""


class Link:
    """One destination. A constructor does no I/O; `open` does."""

    def __init__(self, options: HttpsOptions, context: UplinkContext) -> None:
        self._masking: Masking = context.shared.setdefault("masking", Masking(context.secret))
        self._options, self._context = options, replace(context, secret=self._masking.secret)
        parts = urlsplit(options.https)
        self.peer = f"{parts.scheme}://{parts.netloc}"
        self._base = options.https
        self._session: aiohttp.ClientSession | None = None
        self._stamp: tuple[float, ...] = ()
        self._own: dict[str, str] = {}
        self._signers: list[signing.Sign] = []
        self._skew = Skew(context, self.peer)
        self.tokens: Tokens | None = None
        if options.auth.is_oauth:
            self.tokens = context.shared.setdefault("tokens", Tokens(options.auth, self._base, self._context))

    async def open(self) -> None:
        """A wrong name, port or certificate shows here, before an event waits. Raises NotConnected, ConfigError."""
        options = self._options
        self._own, self._signers = self._login_headers(), self._make_signers()
        self._stamp = stamp_of(options)
        tls = context_of(options, self._context, self.peer)
        await self._reach(tls if self._base.startswith("https") else None)
        self._session = self._session_with(tls)

    def _session_with(self, tls: ssl.SSLContext) -> aiohttp.ClientSession:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_headers_sent.append(_going)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=self._options.concurrency + 1),
            timeout=aiohttp.ClientTimeout(total=None),  # whoever calls has one for all its requests together
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[tracing],
        )

    async def renew(self) -> None:
        """New connections, if certificates were renewed on disk since the last. Not while a request is under way.

        raises NotConnected   what lies there now cannot be used
        """
        if self._session is not None and (stamp := stamp_of(self._options)) != self._stamp:
            self._stamp, before = stamp, self._session
            self._session = self._session_with(context_of(self._options, self._context, self.peer))
            await before.close()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def log_in(self) -> None:
        """If there is something to log in at. Raises NotConnected, LoginRefused."""
        if self.tokens is not None:
            await self.tokens.current(self._ask_for_token)

    async def send(
        self, path: str, body: bytes, headers: Mapping[str, str], id_: str, refused: Callable[[Answer], bool], under_way: UnderWay
    ) -> Answer:
        """One request, and with OAuth the same once more after a new login, if the first is refused for its token; with signatures once
        more with the receiver's time, if it was refused and our clock is another one.

        id_         what signatures call it
        under_way   told True when the first byte of it goes out: from then on it may have been taken; False when it was refused
        raises NotConnected   it cannot have been taken
        raises Unanswered     nobody knows
        raises LoginRefused   there is no token to be had
        """
        method, most = self._options.method, self._options.result.longest_answer
        needs_body = self._options.result.ok is not None or self._options.result.per_item is not None
        given = (path, refused, method, body)
        then = (most if needs_body else 0, under_way)
        answer = await self._with_token(*given, {**headers, **self._signature(id_, body)}, *then)
        if self._signers and 400 <= answer.status < 500 and self._skew.learnt(answer):
            under_way(False)
            answer = await self._with_token(*given, {**headers, **self._signature(id_, body)}, *then)
        return answer

    async def get(self, path: str, refused: Callable[[Answer], bool] = lambda answer: answer.status == 401) -> Answer:
        """Raises as `send` does."""
        return await self._with_token(path, refused, "GET", None, {"Accept": "application/json"}, self._options.result.longest_answer)

    async def options(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Raises as `send` does."""
        return await self._with_token(path, lambda answer: answer.status == 401, "OPTIONS", None, headers, 0)

    async def get_json(self, path: str) -> Json:
        """Raises NotConnected, also for what is refused or cannot be read."""
        try:
            async with asyncio.timeout(self._options.timeout):
                answer = await self.get(path)
            if not answer.taken:
                raise NotConnected(self.peer, f"{path.partition('?')[0]}: {answer.status} {answer.said()}")
            return answer.document()
        except (Unanswered, LoginRefused, ValueError) as exc:
            raise NotConnected(self.peer, str(exc)) from exc
        except TimeoutError as exc:
            raise NotConnected(self.peer, f"no answer within {self._options.timeout:g} s") from exc

    async def _with_token(
        self,
        path: str,
        refused: Callable[[Answer], bool],
        method: str,
        body: bytes | None,
        headers: Mapping[str, str],
        most: int,
        under_way: UnderWay = lambda _: None,
    ) -> Answer:
        token = await self.tokens.current(self._ask_for_token) if self.tokens is not None else None
        try:
            answer = await self._once(method, self._url(path, token), body, self._with_login(headers, token), most, under_way)
        except (NotConnected, Unanswered, asyncio.CancelledError):  # out of patience, for example
            self._looks_elsewhere(token)
            raise
        if answer.status in _ELSEWHERE:
            self._looks_elsewhere(token)
        elif self.tokens is not None and token is not None and refused(answer):
            under_way(False)
            self.tokens.drop(token)
            token = await self.tokens.current(self._ask_for_token)
            answer = await self._once(method, self._url(path, token), body, self._with_login(headers, token), most, under_way)
        return answer

    def _looks_elsewhere(self, token: Token | None) -> None:
        """The login may have said where to send, and that may be somewhere else by now."""
        if self.tokens is not None and token is not None and token.base and urlsplit(token.base)[:2] != urlsplit(self._base)[:2]:
            self.tokens.nobody_there(token)

    def _url(self, path: str, token: Token | None) -> str:
        base = token.base if token is not None and token.base else self._base
        return base.rstrip("/") + path if path else base

    def _with_login(self, headers: Mapping[str, str], token: Token | None) -> dict[str, str]:
        login = {"Authorization": f"Bearer {self._masking.hides(token.value)}"} if token is not None else self._own
        return {**headers, **login}

    async def _ask_for_token(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            return await self._once("POST", url, body, headers, _DRAIN_MOST)
        except Unanswered as exc:
            raise NotConnected(urlsplit(url).netloc, f"the token endpoint gives no answer: {exc}") from exc

    async def _once(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], most: int, under_way: UnderWay = lambda _: None
    ) -> Answer:
        if self._session is None:
            raise NotConnected(self.peer, "not connected")
        proxy = self._proxy(url)
        data = io.BytesIO(body) if body is not None and len(body) > _LARGE else body
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                data=data,
                headers=headers,
                allow_redirects=False,
                proxy=proxy.url if proxy else None,
                proxy_headers=proxy.headers if proxy else None,
                trace_request_ctx=under_way,
            ) as answer:
                return replace(await _read(answer, most), hide=self._masking.masked)
        except (aiohttp.ClientError, OSError) as exc:
            raise self._lost(exc, urlsplit(url).netloc, proxy) from exc

    def _lost(self, exc: aiohttp.ClientError | OSError, peer: str, proxy: Proxy | None) -> Exception:
        if isinstance(exc, aiohttp.ClientHttpProxyError) and proxy is not None:
            return NotConnected(proxy.peer, excerpt(self._masking.masked(f"refuses the way to {peer}: {exc.status} {exc.message}")))
        if isinstance(exc, aiohttp.ClientProxyConnectionError) and proxy is not None:
            return NotConnected(proxy.peer, why(exc))
        if isinstance(exc, aiohttp.ClientConnectorError):
            return NotConnected(peer if peer != urlsplit(self._base).netloc else self.peer, why(exc))
        if refuses_us(exc):
            return NotConnected(self.peer, f"the receiver refuses our certificate, or wants one: {why(exc)}"[:200])
        return Unanswered(why(exc))

    async def _reach(self, tls: ssl.SSLContext | None) -> None:
        """Open a connection and close it again; with a proxy, only to that."""
        proxy, seconds = self._proxy(self._base), min(_REACH_SECONDS, self._options.timeout)
        first, peer = (proxy.url, proxy.peer) if proxy else (self._base, self.peer)
        try:
            async with asyncio.timeout(seconds):
                began = self._context.clock.monotonic()
                reader, writer = await asyncio.open_connection(urlsplit(first).hostname, port_of(first), ssl=None if proxy else tls)
                try:
                    if tls and not proxy and await _hangs_up(reader, self._context.clock.monotonic() - began):
                        raise NotConnected(peer, "hangs up after the handshake: it refuses our certificate, or wants one")
                finally:
                    writer.transport.abort()
        except TimeoutError as exc:
            raise NotConnected(peer, f"no answer within {seconds:g} s") from exc
        except OSError as exc:
            raise NotConnected(peer, in_words(exc)) from exc

    def _proxy(self, url: str) -> Proxy | None:
        try:
            return proxy_for(url, self._options.proxy, self._context.secret)
        except ValueError as exc:
            raise NotConnected(self.peer, f"no way out: {exc}") from exc

    def _login_headers(self) -> dict[str, str]:
        auth = self._options.auth
        if auth.kind == "bearer":
            return {"Authorization": f"Bearer {self._header_secret(auth.token)}"}
        if auth.kind == "header_key" and auth.header:
            return {auth.header: self._header_secret(auth.token)}
        if auth.kind == "basic":
            user = self._header_secret(auth.username) if isinstance(auth.username, SecretRef) else auth.username or ""
            if ":" in user:
                raise NotConnected(self.peer, "the secret of auth.username is no user name: a colon stands in it")
            login = aiohttp.encode_basic_auth(user, self._header_secret(auth.password), "utf-8")
            self._masking.hides(login.partition(" ")[2])
            return {"Authorization": login}
        return {}

    def _header_secret(self, ref: SecretRef | None) -> str:
        value = self._context.secret(ref) if ref is not None else ""
        if not value.isprintable() or not value.isascii():
            raise NotConnected(self.peer, f"secret {ref.secret if ref else ''} cannot stand in a header: it is not one line of plain text")
        return value

    def _make_signers(self) -> list[signing.Sign]:
        made = []
        for ref in self._options.auth.secrets:
            try:
                made.append(signing.signer(self._context.secret(ref)))
            except signing.BadSecret as exc:
                raise NotConnected(self.peer, f"secret {ref.secret} {exc}") from exc
        return made

    def _signature(self, id_: str, body: bytes) -> dict[str, str]:
        if not self._signers:
            return {}
        return signing.headers(id_, int(self._skew.now_seconds), body, self._signers)


async def _going(_session: aiohttp.ClientSession, context: object, _params: object) -> None:
    """Called by aiohttp just before the headers are written; a request that waits for its connection has not come so far."""
    under_way: UnderWay | None = getattr(context, "trace_request_ctx", None)
    if under_way is not None:
        under_way(True)


async def _hangs_up(reader: asyncio.StreamReader, handshake_seconds: float) -> bool:
    """With TLS 1.3 a server says only after the handshake what it thinks of our certificate; that takes one way more."""
    try:
        async with asyncio.timeout(min(1.0, 0.05 + 2 * handshake_seconds)):
            return not await reader.read(1)
    except TimeoutError:
        return False
    except OSError:
        return True


async def _read(answer: aiohttp.ClientResponse, most: int) -> Answer:
    """`most` 0: of a 2xx the status is all that counts, so its body is only got out of the way, unless the connection breaks in it: then it
    is no answer (RFC 9112, 8).
    """
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if most == 0 and 200 <= answer.status < 300:
        body, cut = b"", ""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                body, cut = await _body(answer, _DRAIN_MOST)
        except TimeoutError:
            answer.close()
        return Answer(answer.status, headers, b"", cut if len(body) < _DRAIN_MOST else "")
    body, cut = await _body(answer, most or _DRAIN_MOST)
    return Answer(answer.status, headers, body, cut)


async def _body(answer: aiohttp.ClientResponse, most: int) -> tuple[bytes, str]:
    """What there is of it, and why it is not all."""
    parts, size = [], 0
    try:
        async for block in answer.content.iter_any():
            parts.append(block)
            size += len(block)
            if size > most:
                answer.close()
                return b"".join(parts)[:most], f"it is longer than {most} bytes"
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError) as exc:
        return b"".join(parts), f"it breaks off after {size} bytes ({type(exc).__name__})"
    return b"".join(parts), ""
