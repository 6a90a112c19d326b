"""Kinds of text in the options that are checked when the options are."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from gateway.contract import Json
from gateway.uplink.https import paths
from gateway.uplink.https.template import compiled

_TOKEN = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _template(value: Json) -> Json:
    compiled(value)
    return value


def _path(value: str) -> str:
    paths.parse(value)
    return value


def _condition(value: str) -> str:
    paths.condition(value)
    return value


def address(value: str) -> str:
    """An https address without credentials; http only to this machine. Raises ValueError."""
    parts = urlsplit(value)
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise ValueError(f"{value!r} is not supported; write https://host/path")
    if not can_be_asked(value):
        raise ValueError(f"{value!r} names no host and port that can be; write https://host/path or https://host:8443/path")
    if parts.username or parts.password:
        raise ValueError("no user or password in the address; write {secret: NAME} under auth")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("http:// is not encrypted and allowed for this machine only; write https://")
    return value


def can_be_asked(url: str) -> bool:
    """Whether its host could be looked up, and its port is one; what is not would be found in the middle of a connect."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _token_url(value: str) -> str:
    return value if value.startswith("/") and not value.startswith("//") else address(value)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def user_name(value: str) -> str:
    """Basic: what stands behind the first colon is the password."""
    if ":" in value:
        raise ValueError("a user name has no colon in it")
    return value


def header_name(value: str) -> str:
    if not _TOKEN.match(value):
        raise ValueError(f"{value!r} is no name of a header")
    return value


def _header_value(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("a header is one line")
    compiled(value)
    return value


Template = Annotated[str, AfterValidator(_template)]
"""Text with templates."""
Item = Annotated[dict[str, Json], AfterValidator(_template)]
"""A JSON object with templates in its texts."""
JsonPath = Annotated[str, AfterValidator(_path)]
Condition = Annotated[str, AfterValidator(_condition)]
Address = Annotated[str, AfterValidator(address)]
TokenUrl = Annotated[str, AfterValidator(_token_url)]
"""An address, or a path at the destination's."""
OriginName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$", max_length=253)]
"""In the form of a DNS name."""
UserName = Annotated[str, AfterValidator(user_name)]
HeaderName = Annotated[str, AfterValidator(header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
