"""The way out of the plant: which proxy, if any, for an address. From the options, else from the environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp

from gateway.contract import SecretRef
from gateway.uplink.https.checked import can_be_asked, is_loopback
from gateway.uplink.https.config import ProxyOptions


@dataclass(frozen=True, slots=True)
class Proxy:
    """`url` has no login in it; that stands in `headers`, which only the proxy gets."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def peer(self) -> str:
        parts = urlsplit(self.url)
        return f"proxy {parts.netloc if parts.port else f'{parts.netloc}:{port_of(self.url)}'}"


def port_of(url: str) -> int:
    """
    >>> port_of("https://proxy.example"), port_of("http://proxy.example"), port_of("https://proxy.example:3128")
    (443, 80, 3128)
    """
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def proxy_for(url: str, options: ProxyOptions | None, secret: Callable[[SecretRef], str]) -> Proxy | None:
    """None: straight. A proxy that the options name is taken for every address, one of the environment not for this machine.

    raises ValueError   nobody checked the environment; what it says is not repeated, for a password may stand in it
    """
    if options is not None:
        if options.url == "off":
            return None
        login = (options.username, secret(options.password)) if options.username and options.password else None
        return _proxy(options.url, login)
    parts = urlsplit(url)
    host = parts.hostname or ""
    found = getproxies_environment().get(parts.scheme, "")
    if not found or is_loopback(host) or _straight(host, url):
        return None
    whole = found if "://" in found else f"http://{found}"
    if not whole.lower().startswith(("http:", "https:")) or not can_be_asked(whole):
        raise ValueError(f"{parts.scheme}_proxy of the environment is no http://host:port")
    given = urlsplit(whole)
    login = (unquote(given.username), unquote(given.password or "")) if given.username else None
    return _proxy(f"{given.scheme}://{given.netloc.rpartition('@')[2]}", login)


def _straight(host: str, url: str) -> bool:
    """NO_PROXY as most programs read it: names and what is below them, with a port or without, and nets (``10.0.0.0/8``)."""
    if proxy_bypass(host) or proxy_bypass(f"{host}:{port_of(url)}"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in net for net in map(_net, getproxies_environment().get("no", "").split(",")) if net is not None)


def _net(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _proxy(url: str, login: tuple[str, str] | None) -> Proxy:
    return Proxy(url, {"Proxy-Authorization": aiohttp.encode_basic_auth(*login)} if login else {})
