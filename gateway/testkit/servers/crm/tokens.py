"""A token endpoint: client credentials and JWT bearer, with a clock of its own and scripted faults."""

from __future__ import annotations

import base64
import time
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

import jwt

from gateway.testkit.servers.crm.site import Answer, Seen, Site


class TokenEndpoint(Site):
    """``POST /token``. Tokens are ``token-1``, ``token-2``, ...; a `Site` lets them in with ``door=tokens.valid``.

    fields        more of the answer, for example ``{"expires_in": 3600, "instance_url": "..."}``
    public_key    PEM; what assertions are checked with (RS256)
    clock_ahead   seconds by which the endpoint's clock is ahead of ours; its ``Date`` tells
    asked         the forms that came, good or bad
    """

    def __init__(self, *, client_id: str = "edge", client_secret: str = "s3cret", public_key: str = "", **given: Any) -> None:
        super().__init__(**given)
        self.client_id, self.client_secret, self.public_key = client_id, client_secret, public_key
        self.audience = "https://login.example"
        self.user = "gateway@acme.example"
        self.fields: dict[str, Any] = {}
        self.clock_ahead = 0.0
        self.asked: list[dict[str, str]] = []
        self.granted = 0
        self._valid: set[str] = set()

    @property
    def token_url(self) -> str:
        return f"{self.url}/token"

    def valid(self, seen: Seen) -> bool:
        kind, _, token = seen.headers.get("authorization", "").partition(" ")
        return kind == "Bearer" and token in self._valid

    def revoke(self) -> None:
        """Every token given so far is worth nothing."""
        self._valid.clear()

    async def answer(self, seen: Seen) -> Answer:
        form = dict(parse_qsl(seen.body.decode()))
        self.asked.append(form)
        match form.get("grant_type"):
            case "client_credentials":
                why = self._client(form, seen.headers.get("authorization", ""))
            case "urn:ietf:params:oauth:grant-type:jwt-bearer":
                why = self._assertion(form.get("assertion", ""))
            case _:
                why = ("unsupported_grant_type", "grant type not supported")
        date = {"Date": formatdate(time.time() + self.clock_ahead, usegmt=True)}
        if why:
            return Answer(400, {"error": why[0], "error_description": why[1]}, date)
        self.granted += 1
        token = f"token-{self.granted}"
        self._valid.add(token)
        return Answer(200, {"access_token": token, "token_type": "Bearer", **self.fields}, date)

    def _client(self, form: dict[str, str], authorization: str) -> tuple[str, str] | None:
        given = (form.get("client_id", ""), form.get("client_secret", ""))
        if authorization.startswith("Basic "):
            user, _, password = base64.b64decode(authorization[6:]).decode().partition(":")
            given = (user, password)
        return None if given == (self.client_id, self.client_secret) else ("invalid_client", "client authentication failed")

    def _assertion(self, assertion: str) -> tuple[str, str] | None:
        now = time.time() + self.clock_ahead
        try:
            claims = jwt.decode(
                assertion, self.public_key, algorithms=["RS256"], audience=self.audience, options={"verify_exp": False, "verify_iat": False}
            )
        except jwt.InvalidTokenError as exc:
            return "invalid_grant", str(exc)
        if not now < float(claims.get("exp", 0)) <= now + 300:
            return "invalid_grant", "assertion is expired, or valid for too long"
        if claims.get("iss") != self.client_id or claims.get("sub") != self.user:
            return "invalid_grant", "user hasn't approved this consumer"
        return None
