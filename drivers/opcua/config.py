"""Options of the OPC UA driver, and where a tag lies."""

from __future__ import annotations

import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from gateway.contract import Duration, SecretRef, SourceOptions, TagOptions

_NODE = re.compile(r"^(ns=\d+;|nsu=[^;]+;)?([isgb])=(.+)$")


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
        found = _NODE.match(value)
        if not found or (found[2] == "i" and not found[3].isdigit()):
            raise ValueError(f"{value!r} is no node id; write nsu=http://vendor/ns;s=Name or ns=2;s=Name")
        return value

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.kind == "waveform":
            raise ValueError("waveforms over OPC UA are not supported")
        return self


def split_node(node: str) -> tuple[str | int, str]:
    """(namespace URI or index, identifier).

    >>> split_node("nsu=http://vendor.example/cnc;s=Spindle.Load"), split_node("i=85")
    (('http://vendor.example/cnc', 's=Spindle.Load'), (0, 'i=85'))
    """
    found = _NODE.match(node)
    if found is None:
        raise ValueError(node)
    namespace = (found[1] or "ns=0;").rstrip(";")
    identifier = f"{found[2]}={found[3]}"
    return (namespace[4:], identifier) if namespace.startswith("nsu=") else (int(namespace[3:]), identifier)
