"""Options of the OPC UA driver: the server, where a tag lies, which events are records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from drivers.opcua.address import deadband_of, split_field, split_node, split_path
from gateway.contract import Duration, RecordOptions, SecretRef, SourceOptions, TagOptions

Security = Literal[
    "None",
    "Basic256Sha256/Sign",
    "Basic256Sha256/SignAndEncrypt",
    "Aes128_Sha256_RsaOaep/Sign",
    "Aes128_Sha256_RsaOaep/SignAndEncrypt",
    "Aes256_Sha256_RsaPss/Sign",
    "Aes256_Sha256_RsaPss/SignAndEncrypt",
]


def _checked(text: str, check: Callable[[str], object]) -> str:
    check(text)
    return text


Node = Annotated[str, AfterValidator(lambda text: _checked(text, split_node))]
BrowsePath = Annotated[str, AfterValidator(lambda text: _checked(text, split_path))]
FieldPath = Annotated[str, AfterValidator(lambda text: _checked(text, split_field))]
Deadband = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value, json_schema_input_type=str | float),
    AfterValidator(lambda text: _checked(text, deadband_of)),
]


class OpcuaOptions(SourceOptions):
    """One server and how to come in."""

    opcua: str = Field(description="opc.tcp://host:port[/path]")
    security: Security = Field("None", description="policy/mode; anything but None needs certificates that both sides trust")
    trust: Literal["list", "first_use"] = Field(
        "list",
        description="which certificate of the server is taken: one in pki/trusted, or the first one this address shows, from then on",
    )
    user: str | None = None
    password: SecretRef | None = None
    allow_plain_password: bool = Field(False, description="send the password in clear text where the server offers nothing better")
    certificate: Path | None = Field(None, description="of the user (DER or PEM), instead of user and password")
    key: Path | None = Field(None, description="private key of the user's certificate (PEM or DER)")
    key_password: SecretRef | None = None
    publishing: Duration = Field("200ms", gt=0, description="how often the server sends what changed")  # type: ignore[assignment]
    sampling: Duration = Field("100ms", description="how often the server looks for changes; 0s = as fast as it can")  # type: ignore[assignment]
    queue: int = Field(10, ge=1, le=10_000, description="values per item the server keeps between two publishes")
    timeout: Duration = Field("4s", gt=0, description="for the answer to one request")  # type: ignore[assignment]
    watchdog: Duration = Field("30s", ge=5, description="neither values nor the server's time came for this long: connect anew")  # type: ignore[assignment]
    backfill: Duration | None = Field(
        None, gt=0, le=31 * 86400, description="after an outage, read what was missed from the server's history, at most this far back"
    )

    @field_validator("opcua")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        parts = urlsplit(value)
        try:
            port = parts.port
        except ValueError as exc:
            raise ValueError(f"{value!r} has no valid port") from exc
        if parts.scheme != "opc.tcp" or not parts.hostname or not port:
            raise ValueError(f"{value!r} is not supported; write opc.tcp://host:port")
        if parts.username or parts.password:
            raise ValueError("no user or password in the address; use user and password: {secret: NAME}")
        return value

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        if self.user and self.certificate:
            raise ValueError("who we are is told by user and password or by certificate and key, not by both")
        if self.key_password and not self.key:
            raise ValueError("key_password needs key")
        return self

    @property
    def peer(self) -> str:
        """``host:port``."""
        return urlsplit(self.opcua).netloc


class OpcuaTag(TagOptions):
    """Where a value lies, and what is to be sent of it."""

    node: Node | None = Field(None, description="nsu=http://vendor/ns;s=Name, ns=2;s=Name or i=2258")
    path: BrowsePath | None = Field(None, description="instead of node: Objects/2:Machine/Spindle/Load, looked up at each connect")
    index: int | None = Field(None, ge=0, le=999_999, description="of an array: which element, from 0")
    field: FieldPath | None = Field(None, description="of a structure: Motor.Speed, Axes[2].Load")
    server_deadband: Deadband | None = Field(
        None, description="the server sends only larger changes: 0.5 in its own unit, or 2% of its range"
    )
    rate_hz: float | None = Field(None, gt=0, description="waveform: samples per second")
    length: int | None = Field(None, ge=1, description="waveform: elements of the array; another number is bad")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if (self.node is None) == (self.path is None):
            raise ValueError("write node or path, one of them")
        if self.kind == "waveform":
            if self.rate_hz is None:
                raise ValueError("a waveform needs rate_hz")
            if self.index is not None or self.field or self.server_deadband:
                raise ValueError("index, field and server_deadband are not for kind: waveform")
        elif self.rate_hz or self.length:
            raise ValueError("rate_hz and length are for kind: waveform")
        if self.server_deadband and (self.index is not None or self.field):
            raise ValueError("server_deadband is for plain numbers; use deadband")
        return self


class OpcuaRecord(RecordOptions):
    """Events of a server, alarms and conditions among them, as business messages."""

    events: Node = Field("i=2253", description="the object that notifies of them; i=2253 is the server itself: all of them")
    types: list[Node] = Field(default_factory=list, description="types of event to take, with their subtypes; empty = all")
    severity: int = Field(1, ge=1, le=1000, description="take events of at least this severity, 1 to 1000")
    fields: list[str] = Field(default_factory=list, description="further fields, as paths of names: Machine, 2:Detail/2:Code")
