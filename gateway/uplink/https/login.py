"""Options of how we show who we are."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from gateway.contract import Duration, SecretRef, StrictModel
from gateway.uplink.https.checked import HeaderName, TokenUrl, user_name

_OAUTH = {"token_url", "client_id", "scope", "extra", "token_ttl", "base_from"}
_NEEDS: dict[str, set[str]] = {
    "none": set(),
    "bearer": {"token"},
    "basic": {"username", "password"},
    "header_key": {"header", "token"},
    "oauth2_client_credentials": {"token_url", "client_id", "client_secret"},
    "oauth2_jwt_bearer": {"token_url", "client_id", "username", "private_key"},
    "mtls": set(),
    "standard_webhooks": {"secrets"},
}
_MAY: dict[str, set[str]] = {
    "oauth2_client_credentials": _OAUTH | {"client_auth"},
    "oauth2_jwt_bearer": _OAUTH | {"audience", "algorithm", "key_id", "valid_for"},
}


class AuthOptions(StrictModel):
    """`kind` says which of the others are needed; every secret is a reference."""

    kind: Literal[
        "none", "bearer", "basic", "header_key", "oauth2_client_credentials", "oauth2_jwt_bearer", "mtls", "standard_webhooks"
    ] = "none"
    token: SecretRef | None = Field(None, description="bearer, header_key")
    header: HeaderName | None = Field(None, description="header_key: the header's name, for example api-key")
    username: str | SecretRef | None = Field(None, description="basic; oauth2_jwt_bearer: the user it is for (sub)")
    password: SecretRef | None = Field(None, description="basic")
    token_url: TokenUrl | None = Field(None, description="oauth2: where tokens are given out; /path: at the address of the destination")
    client_id: str | SecretRef | None = Field(None, description="oauth2; oauth2_jwt_bearer: the issuer (iss)")
    client_secret: SecretRef | None = Field(None, description="oauth2_client_credentials")
    client_auth: Literal["form", "basic"] = Field("form", description="where the client's id and secret go")
    scope: str | None = Field(None, description="oauth2")
    extra: dict[str, str] = Field(default_factory=dict, description="oauth2: more fields of the form, no secrets")
    audience: str | None = Field(None, description="oauth2_jwt_bearer: whom the assertion is for (aud); default: the origin of token_url")
    private_key: SecretRef | None = Field(None, description="oauth2_jwt_bearer: the key in PEM")
    key_id: str | None = Field(None, description="oauth2_jwt_bearer: name of the key (kid)")
    algorithm: Literal["RS256", "PS256", "ES256"] = Field("RS256", description="oauth2_jwt_bearer")
    valid_for: Duration = Field("2m", gt=0, le=3600, description="oauth2_jwt_bearer: life of an assertion")  # type: ignore[assignment]
    token_ttl: Duration = Field("90m", gt=0, description="oauth2: life of a token whose answer does not say it")  # type: ignore[assignment]
    base_from: str | None = Field(None, description="oauth2: field of the token's answer that replaces the address")
    secrets: list[SecretRef] = Field(default_factory=list, max_length=5, description="standard_webhooks: whsec_ or whsk_ each")

    @property
    def is_oauth(self) -> bool:
        return self.kind.startswith("oauth2")

    @model_validator(mode="after")
    def _belongs_together(self) -> AuthOptions:
        needs = _NEEDS[self.kind]
        if missing := sorted(name for name in needs if not getattr(self, name)):
            raise ValueError(f"auth of kind {self.kind} needs {', '.join(missing)}")
        foreign = self.model_fields_set - needs - _MAY.get(self.kind, set()) - {"kind"}
        if foreign := {name for name in foreign if getattr(self, name)}:
            raise ValueError(f"auth of kind {self.kind} takes no {', '.join(sorted(foreign))}")
        if self.kind == "basic" and isinstance(self.username, str):
            user_name(self.username)
        return self
