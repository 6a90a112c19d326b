"""The token endpoint: client credentials and JWT bearer with a real check of the signature, and the sessions it hands out."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography import x509

ORG, USER = "00D000000000001AAA", "005000000000001AAA"
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LONGEST_EXP = 300  # seconds an assertion may reach ahead
_AUDIENCES = frozenset({"https://login.salesforce.com", "https://test.salesforce.com"})


class LoginRefused(Exception):
    """Answered with 400 and these two words."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error, self.description = error, description


@dataclass
class App:
    """An External Client App: what it may be used with, and by whom.

    certificate   PEM; None: no JWT bearer
    run_as        the user of client credentials; None: that flow is off
    approved      users who are authorized in advance
    """

    client_id: str = "3MVG9.app"
    client_secret: str = "s3cret"
    certificate: str | None = None
    run_as: str | None = "gateway@acme.example"
    approved: set[str] = field(default_factory=lambda: {"gateway@acme.example"})


@dataclass
class Logins:
    """Sessions by token. Times are the server's own, in seconds since 1970.

    asked       how often the endpoint was called; granted: how often it gave a token
    last        seconds a session lasts
    names       more names of this org, which an assertion may be meant for
    """

    app: App
    domain: str = ""
    last: float = 7200.0
    asked: int = 0
    granted: int = 0
    names: set[str] = field(default_factory=set)
    _sessions: dict[str, float] = field(default_factory=dict)

    def token(self, form: Mapping[str, str], authorization: str, now: float) -> dict[str, Any]:
        """The answer to a grant; raises LoginRefused."""
        self.asked += 1
        match form.get("grant_type"):
            case "client_credentials":
                user = self._by_credentials(form, authorization)
            case "urn:ietf:params:oauth:grant-type:jwt-bearer":
                user = self._by_assertion(form.get("assertion", ""), now)
            case _:
                raise LoginRefused("unsupported_grant_type", "grant type not supported")
        self.granted += 1
        return self._session(user, now)

    def valid(self, authorization: str, now: float) -> bool:
        """``Bearer TOKEN`` or ``OAuth TOKEN`` of a session that lasts."""
        kind, _, token = authorization.partition(" ")
        return kind in ("Bearer", "OAuth") and self._sessions.get(token, 0.0) > now

    def revoke(self) -> None:
        """End every session, as an administrator does."""
        self._sessions.clear()

    def _session(self, user: str, now: float) -> dict[str, Any]:
        token = f"{ORG[:15]}!{secrets.token_urlsafe(48)}"
        self._sessions[token] = now + self.last
        return {
            "access_token": token,
            "signature": base64.b64encode(secrets.token_bytes(32)).decode(),
            "scope": "api",
            "instance_url": self.domain,
            "id": f"{self.domain}/id/{ORG}/{USER}",
            "token_type": "Bearer",
            "issued_at": str(int(now * 1000)),
        }

    def _by_credentials(self, form: Mapping[str, str], authorization: str) -> str:
        client, secret = form.get("client_id", ""), form.get("client_secret", "")
        if authorization.startswith("Basic "):
            try:
                client, _, secret = base64.b64decode(authorization[6:], validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError) as exc:
                raise LoginRefused("invalid_client", "invalid client credentials") from exc
        self._known(client)
        if not secrets.compare_digest(secret.encode(), self.app.client_secret.encode()):
            raise LoginRefused("invalid_client", "invalid client credentials")
        if self.app.run_as is None:
            raise LoginRefused("invalid_grant", "no client credentials user enabled")
        return self.app.run_as

    def _by_assertion(self, assertion: str, now: float) -> str:
        try:
            claims = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.InvalidTokenError as exc:
            raise LoginRefused("invalid_grant", "invalid assertion") from exc
        self._known(str(claims.get("iss", "")))
        self._signed(assertion)
        if claims.get("aud") not in {*_AUDIENCES, self.domain, *self.names}:
            raise LoginRefused("invalid_grant", "audience is invalid")
        _in_time(claims.get("exp"), now)
        user = str(claims.get("sub", ""))
        if user not in self.app.approved:
            raise LoginRefused("invalid_grant", "user hasn't approved this consumer")
        return user

    def _known(self, client: str) -> None:
        if client != self.app.client_id:
            raise LoginRefused("invalid_client_id", "client identifier invalid")

    def _signed(self, assertion: str) -> None:
        """By the certificate's key with RS256, and with nothing else: ``none`` and HS256 are forgeries."""
        if self.app.certificate is None:
            raise LoginRefused("invalid_grant", "invalid assertion")
        key: Any = x509.load_pem_x509_certificate(self.app.certificate.encode()).public_key()
        try:
            jwt.decode(assertion, key, algorithms=["RS256"], options={"verify_exp": False, "verify_aud": False, "verify_iat": False})
        except jwt.InvalidTokenError as exc:
            raise LoginRefused("invalid_grant", "invalid assertion") from exc


def _in_time(exp: object, now: float) -> None:
    """`exp` may be written as text, which one widespread client does."""
    try:
        until = float(str(exp))
    except ValueError as exc:
        raise LoginRefused("invalid_grant", "invalid assertion") from exc
    if until <= now:
        raise LoginRefused("invalid_grant", "expired authorization code")
    if until > now + _LONGEST_EXP:
        raise LoginRefused("invalid_grant", "invalid assertion")
