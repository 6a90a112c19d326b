"""Options of the HTTPS uplink."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from gateway.contract import SecretRef, UplinkOptions


class HttpsOptions(UplinkOptions):
    """A receiver of CloudEvents."""

    https: str = Field(description="https://host/path; http:// only for this machine")
    mode: Literal["structured", "batch"] = Field("structured", description="one request per event, or one for many")
    token: SecretRef | None = Field(None, description="sent as Authorization: Bearer")
    ca: str | None = Field(None, description="file with the authority's certificate, if it is not a public one")
    headers: dict[str, str] = Field(default_factory=dict, description="more headers; no secrets")
    concurrency: int = Field(4, ge=1, le=64, description="requests at once in structured mode")

    @field_validator("https")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.hostname or parts.scheme not in ("https", "http"):
            raise ValueError(f"{value!r} is not supported; write https://host/path")
        if parts.username or parts.password:
            raise ValueError("no user or password in the address; use token: {secret: NAME}")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("http:// is not encrypted and allowed for this machine only; write https://")
        return value


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
