"""The network: a way out, and whether each configured endpoint has a name and takes a connection. No protocol is spoken."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.doctor.finding import Finding, error, warning
from gateway.doctor.options import Endpoint

SECONDS = 4.0
"""For all endpoints together: they are asked at the same time."""


@dataclass(frozen=True, kw_only=True)
class Reached:
    """stage   resolve or connect; problem  empty: it took the connection"""

    endpoint: Endpoint
    stage: str
    problem: str


def reach(endpoints: Sequence[Endpoint], seconds: float = SECONDS) -> list[Reached]:
    """In threads of their own: a dead name server holds one for 20 seconds, and is left behind."""
    found = {endpoint: Reached(endpoint=endpoint, stage="resolve", problem="no answer in time") for endpoint in endpoints}
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=_reach, args=(each, until, found), daemon=True) for each in endpoints]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return [found[endpoint] for endpoint in endpoints]


def has_default_route(root: Path = Path("/")) -> bool:
    """Of IPv4 or IPv6, not through the loopback. Raises OSError."""
    ipv4 = [line.split() for line in (root / "proc/net/route").read_text(encoding="ascii").splitlines()[1:]]
    if any(len(words) > 7 and words[1] == words[7] == "00000000" for words in ipv4):
        return True
    path = root / "proc/net/ipv6_route"
    ipv6 = [line.split() for line in path.read_text(encoding="ascii").splitlines()] if path.exists() else []
    return any(words[0] == "0" * 32 and words[1] == "00" and words[-1] != "lo" for words in ipv6)


def judge(reached: Iterable[Reached], *, default_route: bool) -> Iterator[Finding]:
    if not default_route:
        yield warning(
            "there is no default route: only the networks of the own interfaces are reached",
            "ip route; firmware-config/networkmanager shows LAN first, LTE as fallback",
        )
    for one in reached:
        name, host, port = one.endpoint
        if one.problem and one.stage == "resolve":
            yield error(
                f"{name}: the name {host} has no address: {one.problem}",
                f"check the name and the name server: resolvectl query {host}; or write the address",
            )
        elif one.problem:
            yield error(
                f"{name}: {host}:{port} takes no connection: {one.problem}",
                "check that it runs and listens, the cable, and firewalls on the way",
            )


def _reach(endpoint: Endpoint, until: float, found: dict[Endpoint, Reached]) -> None:
    """The last word counts that was said in time."""
    try:
        addresses = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError as exc:
        found[endpoint] = Reached(endpoint=endpoint, stage="resolve", problem=exc.strerror or str(exc))
        return
    problem = "no answer in time"
    found[endpoint] = Reached(endpoint=endpoint, stage="connect", problem=problem)
    for family, kind, protocol, _, address in addresses:
        try:
            with socket.socket(family, kind, protocol) as sock:
                sock.settimeout(max(0.1, until - time.monotonic()))
                sock.connect(address)
            problem = ""
            break
        except OSError as exc:
            problem = exc.strerror or "no answer in time"
    found[endpoint] = Reached(endpoint=endpoint, stage="connect", problem=problem)
