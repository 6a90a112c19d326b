"""Options of the NATS uplink."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from gateway.contract import SecretRef, UplinkOptions


class NatsOptions(UplinkOptions):
    """A JetStream stream that takes our subjects."""

    nats: str = Field(description="nats://host:4222 or tls://host:4222; several with commas")
    stream: str = Field(min_length=1, max_length=64, description="the stream that keeps the events; checked at connect")
    subject_prefix: str = Field("evt.v1", pattern=r"^[a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*$")
    credentials: SecretRef | None = Field(None, description="content of a .creds file")
    user: str | None = None
    password: SecretRef | None = None
    token: SecretRef | None = None
    ca: str | None = Field(None, description="file with the authority's certificate, for tls")
    in_flight: int = Field(64, ge=1, le=1024, description="publishes that wait for their acknowledgement at once")
    create_stream: bool = Field(False, description="create the stream if it is missing (30 min duplicate window, on disk)")

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

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        ways = [name for name in ("credentials", "user", "token") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise ValueError(f"give one of credentials, user or token, not {' and '.join(ways)}")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together")
        return self
