"""Options of the HTTPS uplink."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from gateway.contract import Duration, Json, SecretRef, StrictModel, UplinkOptions
from gateway.uplink.https import presets
from gateway.uplink.https.checked import (
    Address,
    Condition,
    HeaderName,
    HeaderValue,
    OriginName,
    Template,
    UserName,
    address,
    can_be_asked,
)
from gateway.uplink.https.login import AuthOptions
from gateway.uplink.https.rules import ResultOptions
from gateway.uplink.https.shape import SINGLE, BodyOptions
from gateway.uplink.https.template import Scope, compiled, filled, is_template


class TlsOptions(StrictModel):
    """How the connection is encrypted."""

    ca: str | None = Field(None, description="file with the authority's certificate, if it is not a public one")
    client_cert: str | None = Field(None, description="file with our certificate and its chain, PEM")
    client_key: SecretRef | None = Field(None, description="its private key, PEM")
    min: Literal["1.2", "1.3"] = Field("1.2", description="the lowest version of TLS")

    @model_validator(mode="after")
    def _both(self) -> TlsOptions:
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError("client_cert and client_key go together")
        return self


class ProxyOptions(StrictModel):
    """The way out of the plant."""

    url: str = Field(pattern=r"^(https?://[^\s/@]+/?|off)$", description="http://host:port; off: none, whatever the environment says")
    username: UserName | None = None
    password: SecretRef | None = None

    @field_validator("url")
    @classmethod
    def _can_be_asked(cls, value: str) -> str:
        if value != "off" and not can_be_asked(value):
            raise ValueError(f"{value!r} names no host and port that can be; write http://host:port")
        return value

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        return {"url": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _both(self) -> ProxyOptions:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        return self


class IdempotencyOptions(StrictModel):
    """A header by which the receiver knows a request that it had before."""

    header: HeaderName = "Idempotency-Key"
    value: Template = Field("{{ id }}", description="for one event; requests of many carry a digest of all values, in order")
    quoted: bool = Field(False, description="in double quotes, as the draft of the IETF wants it")


class CheckOptions(StrictModel):
    """One question of `lineside test-uplink`."""

    name: str = Field(min_length=1, max_length=16)
    get: str = Field(pattern=r"^/", description="what is asked for, below the address; may name vars")
    ok: Condition | None = Field(None, description="on the answer's JSON; default: any 2xx will do")
    remedy: str = Field(description="what the administrator must change")


class FeedbackOptions(StrictModel):
    """Verdicts from Salesforce by asking for changed cases."""

    soql: str = Field(pattern=r"^/services/data/v\d+\.\d+$", description="path of the API, for example /services/data/v66.0")
    every: Duration = Field("5m", ge=10, description="how often is asked")  # type: ignore[assignment]


class HttpsOptions(UplinkOptions):
    """A receiver of HTTP requests, described by a preset, by the keys below, or by both."""

    https: str = Field(description="https://host/path; http:// only for this machine")
    preset: str | None = Field(None, description="keys to begin with, see the README; default: cloudevents")
    mode: str | None = Field(None, description="which variant of the preset")
    path: Template = Field("", description="added to the address; values are percent-encoded")
    vars: dict[str, str | int | float | bool] = Field(default_factory=dict, description="constants for templates, as {{ vars.name }}")
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    body: BodyOptions = Field(default_factory=BodyOptions, description="what an event becomes")
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict, description="more headers; no secrets")
    token: SecretRef | None = Field(None, description="short for auth: {kind: bearer, token: ...}")
    auth: AuthOptions = Field(default_factory=AuthOptions, description="how we show who we are")
    idempotency: IdempotencyOptions | None = Field(None, description="header by which a repeated request is known")
    result: ResultOptions = Field(default_factory=ResultOptions, description="what an answer means")
    validate_webhook: bool | OriginName = Field(
        False, description="ask the receiver for permission (OPTIONS, WebHook-Request-Origin) when connecting; or the name to ask under"
    )
    ca: str | None = Field(None, description="short for tls: {ca: ...}")
    tls: TlsOptions = Field(default_factory=TlsOptions, description="how the connection is encrypted")
    proxy: ProxyOptions | None = Field(None, description="http://host:port; default: the environment's (HTTPS_PROXY, NO_PROXY)")
    concurrency: int = Field(4, ge=1, le=64, description="requests at once, where one holds one event")
    feedback: FeedbackOptions | None = Field(None, description="verdicts by asking for them; default: none")
    limits: str | None = Field(
        None, pattern=r"^/services/data/v\d+\.\d+/limits$", description="where Salesforce tells its allowances, asked every 15 min"
    )
    checks: list[CheckOptions] = Field(default_factory=list, max_length=10, description="what test-uplink asks beside the login")

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        return presets.under(given) if isinstance(given, Mapping) else given

    @field_validator("https")
    @classmethod
    def _address(cls, value: str) -> Address:
        return address(value)

    @field_validator("headers")
    @classmethod
    def _no_secret(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name.lower() in ("authorization", "proxy-authorization", "cookie"):
                raise ValueError(f"{name} is a secret; write it under auth, with {{secret: NAME}}")
        return value

    @model_validator(mode="after")
    def _belongs_together(self) -> HttpsOptions:
        self._check_vars()
        if self.path and not self.path.startswith(("/", "?", ":")):
            raise ValueError("path begins with /")
        if self.validate_webhook and is_template(self.path):
            raise ValueError("validate_webhook asks at one address, so path must have no templates")
        if self.ca and self.tls.ca:
            raise ValueError("ca is short for tls.ca; give one of them")
        if self.auth.kind == "mtls" and self.tls.client_cert is None:
            raise ValueError("auth of kind mtls needs tls.client_cert and tls.client_key")
        if self.token is not None and self.token not in (self.auth.token, *self.auth.secrets):
            raise ValueError("token is short for auth of kind bearer; give one of them")
        if self.body.form in SINGLE and self.result.per_item is not None:
            raise ValueError("result.per_item is for forms of many events")
        return self

    def _check_vars(self) -> None:
        """Each template was checked on its own; what it says of `vars` can be judged only here. Raises TemplateError."""
        body, per_item, idempotency = self.body, self.result.per_item, self.idempotency
        templates: list[Json] = [self.path, body.item, body.key, body.group_by, *(also.item for also in body.also), *self.headers.values()]
        templates += [per_item.event if per_item else None, idempotency.value if idempotency else None]
        scope = Scope(vars=self.vars)
        for template in templates:
            compiled(template, scope)
        for check in self.checks:
            filled(check.get, self.vars)
