"""Options of the NATS uplink."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from gateway.contract import SecretRef, StrictModel, UplinkOptions

_SUBJECT = r"^[a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*$"
_NAME = r"^[^\s.*>/\\]+$"


class VerdictsOptions(StrictModel):
    """Where verdicts come from."""

    subject: str | None = Field(None, pattern=_SUBJECT, description="default: fb.v1.<site>.<gateway>")
    stream: str | None = Field(None, pattern=_NAME, max_length=64, description="the stream that holds it; default: looked up")
    consumer: str | None = Field(None, pattern=_NAME, max_length=64, description="durable consumer; default: lineside-<gateway>")


class NatsOptions(UplinkOptions):
    """A JetStream stream that takes our subjects."""

    nats: str = Field(description="nats://host:4222 or tls://host:4222; several with commas")
    stream: str = Field(pattern=_NAME, max_length=64, description="the stream that keeps the events; checked at connect")
    subject_prefix: str = Field("evt.v1", pattern=_SUBJECT)
    domain: str | None = Field(None, pattern=_NAME, max_length=64, description="JetStream domain of the hub, when a leaf node is between")
    credentials: SecretRef | None = Field(None, description="content of a .creds file")
    nkey: SecretRef | None = Field(None, description="the seed of a user's nkey, SU...")
    user: str | None = None
    password: SecretRef | None = None
    token: SecretRef | None = None
    ca: str | None = Field(None, description="file with the authority's certificate, for tls")
    client_certificate: str | None = Field(None, description="file with our certificate, where the server asks for one")
    client_key: str | None = Field(None, description="file with its private key")
    tls_first: bool = Field(False, description="encrypt before the first word; for servers with handshake_first")
    inbox_prefix: str = Field("_INBOX", pattern=_SUBJECT, description="where answers come to; what the user may subscribe to")
    in_flight: int = Field(256, ge=1, le=1024, description="publishes that wait for their acknowledgement at once")
    exactly_once: bool = Field(False, description="a subject for each event, so that the stream refuses a repeated one for ever")
    create_stream: bool = Field(False, description="create the stream if it is missing (30 min duplicate window, on disk)")
    feedback: bool | VerdictsOptions = Field(False, description="take verdicts on incidents from fb.v1.<site>.<gateway>")

    @field_validator("nats")
    @classmethod
    def _servers(cls, value: str) -> str:
        for server in value.split(","):
            parts = urlsplit(server.strip())
            if parts.scheme not in ("nats", "tls") or not parts.hostname:
                raise ValueError(f"{server!r} is not supported; write nats://host:4222 or tls://host:4222")
            if parts.username or parts.password:
                raise ValueError("no user or password in the address; use user, password: {secret: NAME}")
        return value

    @property
    def servers(self) -> list[str]:
        return [server.strip() for server in self.nats.split(",")]

    @property
    def encrypted(self) -> bool:
        """Whether anything says so; the connection is refused then where the server offers none."""
        return self.tls_first or bool(self.ca or self.client_certificate) or any(server.startswith("tls:") for server in self.servers)

    @property
    def api(self) -> str:
        """Where JetStream answers questions."""
        return f"$JS.{self.domain}.API" if self.domain else "$JS.API"

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        ways = [name for name in ("credentials", "nkey", "user", "token") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise ValueError(f"give one of credentials, nkey, user or token, not {' and '.join(ways)}")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together")
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("client_certificate and client_key belong together")
        return self
