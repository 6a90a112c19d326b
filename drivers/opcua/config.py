"""Options of the OPC UA driver, and where a tag lies."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from gateway.contract import Duration, SecretRef, SourceOptions, TagOptions

_NODE = re.compile(r"(?:ns=(?P<index>\d{1,5});|nsu=(?P<uri>[^;]+);)?(?P<kind>[isgb])=(?P<text>.+)")


class OpcuaOptions(SourceOptions):
    """One server and how to come in."""

    opcua: str = Field(description="opc.tcp://host:port[/path]")
    security: Literal["None", "Basic256Sha256/Sign", "Basic256Sha256/SignAndEncrypt"] = Field(
        "None", description="anything but None needs our certificate to be trusted by the server; it is made at the first start"
    )
    user: str | None = None
    password: SecretRef | None = None
    publishing: Duration = Field("200ms", gt=0, description="how often the server sends what changed")  # type: ignore[assignment]
    sampling: Duration = Field("100ms", description="how often the server looks for changes; 0s = as fast as it can")  # type: ignore[assignment]
    queue: int = Field(10, ge=1, le=10_000, description="values per item the server keeps between two publishes")
    timeout: Duration = Field("4s", gt=0)  # type: ignore[assignment]

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
        return self


class OpcuaTag(TagOptions):
    """Where a value lies."""

    node: str = Field(description="nsu=http://vendor/ns;s=Name, ns=2;s=Name or i=2258")

    @field_validator("node")
    @classmethod
    def _node(cls, value: str) -> str:
        split_node(value)
        return value

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.kind == "waveform":
            raise ValueError("waveforms over OPC UA are not supported")
        return self


def split_node(node: str) -> tuple[str | int, int | str | UUID | bytes]:
    """(namespace URI or index, identifier); raises ValueError in the engineer's words.

    Source: OPC UA Part 6, 5.3.1.10: ``i=`` number, ``s=`` text, ``g=`` GUID, ``b=`` Base64.

    >>> split_node("nsu=http://vendor.example/cnc;s=Spindle.Load"), split_node("i=85")
    (('http://vendor.example/cnc', 'Spindle.Load'), (0, 85))
    """
    found = _NODE.fullmatch(node)
    if found is None:
        raise ValueError(f"{node!r} is no node id; write nsu=http://vendor/ns;s=Name or ns=2;s=Name")
    namespace = found["uri"] or int(found["index"] or 0)
    try:
        return namespace, _identifier(found["kind"], found["text"])
    except ValueError as exc:
        raise ValueError(f"{node!r} is no node id: {exc}") from exc


def _identifier(kind: str, text: str) -> int | str | UUID | bytes:
    if kind == "i":
        number = int(text)
        if not 0 <= number < 2**32:
            raise ValueError(f"{number} is not a number of 32 bits")
        return number
    if kind == "g":
        return UUID(text)
    return text if kind == "s" else b64decode(text, validate=True)
