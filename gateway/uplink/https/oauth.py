"""Tokens of OAuth 2.0: one login at a time, kept in memory until it ends or is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode, urljoin, urlsplit

import aiohttp

from gateway.contract import NotConnected, SecretRef, UplinkContext
from gateway.uplink.https.answers import Answer, excerpt
from gateway.uplink.https.checked import address
from gateway.uplink.https.login import AuthOptions
from gateway.uplink.https.skew import Skew

# Logins are counted by the other side, and some lock an account: what was refused is not tried again at once.
SLOW_PROBE_SECONDS = 900.0
_SHORTEST_SECONDS = 30.0
"""A token that is said to live shorter is used so long all the same: a 401 tells, and logins are limited."""
_EARLY_SECONDS = 60.0
_SETTLED_SECONDS = 300.0
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LATER = {"temporarily_unavailable", "server_error", "slow_down"}
_SECRET_KINDS = (ValueError, TypeError)

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[Answer]]


class LoginRefused(Exception):
    """No token for a while, and nobody should ask for one: the login is wrong, or the endpoint wants to be left alone.

    code            the endpoint's word for it
    after_seconds   how long
    """

    def __init__(self, why: str, code: str = "", after_seconds: float = SLOW_PROBE_SECONDS) -> None:
        super().__init__(why)
        self.code, self.after_seconds = code, after_seconds


@dataclass(frozen=True, slots=True)
class Token:
    """`base` replaces the destination's address; empty: it does not. `since` and `until` are of the monotonic clock."""

    value: str
    base: str
    until: float
    since: float = 0.0


class Tokens:
    """Of one destination: what sends to it and what brings its verdicts log in once, and keep one pause after a refusal.

    address_   the destination's, for a token_url that is a path
    """

    def __init__(self, options: AuthOptions, address_: str, context: UplinkContext) -> None:
        self._options, self._context = options, context
        self._url = urljoin(address_, options.token_url or "")
        self._peer = urlsplit(self._url).netloc
        self._lock = asyncio.Lock()
        self._token: Token | None = None
        self._refused: tuple[float, LoginRefused] | None = None
        self._skew = Skew(context, self._peer)

    async def current(self, post: Post) -> Token:
        """Logs in when there is none; raises NotConnected when the endpoint does not answer, else LoginRefused.

        post   asks an endpoint, on the session of whoever wants the token; raises NotConnected
        """
        async with self._lock:
            now = self._context.clock.monotonic()
            if self._token is not None and now < self._token.until:
                return self._token
            if self._refused is not None and now < self._refused[0]:
                until, exc = self._refused
                raise LoginRefused(str(exc), exc.code, until - now)
            try:
                self._token = await self._log_in(post)
            except LoginRefused as exc:
                self._refused = (now + exc.after_seconds, exc)
                raise
            return self._token

    def drop(self, token: Token) -> None:
        """The receiver refused it; a newer one stays."""
        if self._token is token:
            self._token = None

    def nobody_there(self, token: Token) -> None:
        """Nothing is taken at its `base`: another login may say another one. So not after each attempt."""
        if self._context.clock.monotonic() - token.since >= _SETTLED_SECONDS:
            self.drop(token)

    async def _log_in(self, post: Post) -> Token:
        answer = await self._ask(post)
        if _refusal(answer) and self._options.kind == "oauth2_jwt_bearer" and self._skew.learnt(answer):
            answer = await self._ask(post)
        if not answer.taken:
            raise self._why(answer)
        try:
            said = answer.document()
            return self._token_of(said if isinstance(said, dict) else {})
        except ValueError as exc:
            raise NotConnected(self._peer, f"the token endpoint's answer cannot be used: {answer.hide(str(exc))}"[:300]) from exc

    async def _ask(self, post: Post) -> Answer:
        form, headers = self._form()
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        headers["Accept"] = "application/json"
        return await post(self._url, urlencode(form).encode(), headers)

    def _form(self) -> tuple[dict[str, str], dict[str, str]]:
        options, headers = self._options, dict[str, str]()
        form = dict(options.extra)
        if options.scope:
            form["scope"] = options.scope
        client = self._text(options.client_id)
        if options.kind == "oauth2_jwt_bearer":
            return form | {"grant_type": _JWT, "assertion": self._assertion(client)}, headers
        form["grant_type"] = "client_credentials"
        secret = self._text(options.client_secret)
        if options.client_auth == "basic":
            headers["Authorization"] = aiohttp.encode_basic_auth(quote_plus(client), quote_plus(secret))
        else:
            form |= {"client_id": client, "client_secret": secret}
        return form, headers

    def _assertion(self, client: str) -> str:
        import jwt

        options = self._options
        now = int(self._skew.now_seconds)
        audience = options.audience or self._url.removesuffix(urlsplit(self._url).path)
        claims = {"iss": client, "sub": self._text(options.username), "aud": audience, "iat": now, "exp": now + int(options.valid_for)}
        headers = {"kid": options.key_id} if options.key_id else None
        try:
            return jwt.encode(claims, self._text(options.private_key), algorithm=options.algorithm, headers=headers)
        except (jwt.PyJWTError, *_SECRET_KINDS) as exc:
            name = options.private_key.secret if options.private_key else ""
            raise LoginRefused(f"secret {name} is no private key in PEM for {options.algorithm}") from exc

    def _why(self, answer: Answer) -> Exception:
        code, description = _words(answer)
        said = excerpt(answer.hide(": ".join(filter(None, (code, description))))) or answer.said()
        wait = answer.wait_seconds(self._skew.now_seconds)
        if _refusal(answer):
            why = f"the token endpoint refuses the login ({answer.status}: {said})"
            return LoginRefused(why[:300], code, max(wait, SLOW_PROBE_SECONDS))
        why = f"the token endpoint answers {answer.status}: {said}"[:200]
        return LoginRefused(f"{why}; it asks for {wait:.0f} s", code, wait) if wait else NotConnected(self._peer, why)

    def _token_of(self, said: Mapping[str, Any]) -> Token:
        """Raises ValueError."""
        value, options = said.get("access_token"), self._options
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
            raise ValueError("it holds no access_token")
        base = ""
        if options.base_from:
            base = address(str(said.get(options.base_from) or "")).rstrip("/")
        lasts = said.get("expires_in")
        try:
            seconds = float(lasts) if lasts is not None else options.token_ttl
        except (TypeError, ValueError, OverflowError):
            seconds = options.token_ttl
        if not seconds > 0:
            seconds = options.token_ttl
        early, now = min(_EARLY_SECONDS, seconds / 10), self._context.clock.monotonic()
        return Token(value, base, now + max(_SHORTEST_SECONDS, seconds - early), now)

    def _text(self, value: str | SecretRef | None) -> str:
        return self._context.secret(value) if isinstance(value, SecretRef) else value or ""


def _refusal(answer: Answer) -> bool:
    """A refusal of the login, not a failure of the endpoint."""
    return 300 <= answer.status < 500 and answer.status not in (408, 425, 429) and _words(answer)[0] not in _LATER


def _words(answer: Answer) -> tuple[str, str]:
    try:
        said = answer.document()
    except ValueError:
        return "", ""
    if not isinstance(said, dict):
        return "", ""
    return str(said.get("error") or ""), str(said.get("error_description") or "")
