"""Options of a connection to a broker, common to every source that speaks MQTT."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gateway.contract import Duration, SecretRef, SourceOptions


def _endpoint(value: str) -> str:
    parts = urlsplit(value)
    try:
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"{value!r} has no valid port") from exc
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path not in ("", "/") or port == 0:
        raise ValueError(f"{value!r} is not supported; write mqtt://host, mqtt://host:port or mqtts://host")
    if parts.username or parts.password:
        raise ValueError("credentials do not belong into the address; write user: and password: {secret: NAME}")
    return value


Address = Annotated[str, AfterValidator(_endpoint)]
"""``mqtt://host[:1883]`` or ``mqtts://host[:8883]``."""

Version = Annotated[
    Literal["auto", "3.1.1", "5"],
    BeforeValidator(lambda value: str(value) if isinstance(value, int) else value, json_schema_input_type=Literal["auto", "3.1.1", "5", 5]),
]


def claim(options: ConnectionOptions) -> tuple[str, str] | None:
    """A broker gives a session to one client: two with the same id would take it from each other in turns."""
    host, port = options.peer
    return ("client_id", f"client id {options.client_id!r} at {host}:{port}") if options.client_id else None


class ConnectionOptions(SourceOptions):
    """All but the address, which has the plugin's name: a subclass adds it, and `address`."""

    version: Version = Field("auto", description="of the protocol: 5, 3.1.1, or auto: 5, and 3.1.1 where the broker refuses that")
    client_id: str | None = Field(None, min_length=1, max_length=256, description="default: made once from the machine's name, and kept")
    user: str | None = None
    password: SecretRef | None = None
    ca: Path | None = Field(None, description="certificates (PEM) to trust beside none other; default: those of the system")
    certificate: Path | None = Field(None, description="our own certificate (PEM), where the broker asks for one")
    key: Path | None = Field(None, description="its key (PEM), if it is not in the same file")
    key_password: SecretRef | None = None
    keepalive: Duration = Field("30s", ge=1, le=65535)  # type: ignore[assignment]
    session_expiry: Duration = Field("1h", description="how long a broker of version 5 keeps messages for us while we are away")  # type: ignore[assignment]
    receive_maximum: int = Field(1000, ge=1, le=65535, description="version 5: messages the broker may send before we acknowledge")
    max_message_kilobytes: int = Field(1024, ge=1, le=262_143, description="larger messages are counted and left out")

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if not self.tls and (self.ca or self.certificate or self.key or self.key_password):
            raise ValueError("certificates are used with mqtts:// only")
        if self.key and not self.certificate:
            raise ValueError("key needs certificate")
        if self.password and self.user is None:
            raise ValueError("password needs user")
        return self

    @property
    def address(self) -> str:
        """As the engineer wrote it, checked as `Address`."""
        raise NotImplementedError

    @property
    def tls(self) -> bool:
        return urlsplit(self.address).scheme == "mqtts"

    @property
    def peer(self) -> tuple[str, int]:
        """(host, port)."""
        parts = urlsplit(self.address)
        return parts.hostname or "", parts.port or (8883 if self.tls else 1883)
