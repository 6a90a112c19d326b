"""A free port that stays the server's own over its restarts."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from pathlib import Path

_FIRST = 10_000
"""Below are those of known services."""
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A TCP port of loopback nobody listens on now, and that no connection going out will get while its server is down."""
    below = int(_EPHEMERAL.read_text(encoding="ascii").split()[0]) if _EPHEMERAL.exists() else _FIRST
    for _ in range(100 if below > _FIRST else 0):
        with suppress(OSError):
            return _bound(_FIRST + secrets.randbelow(below - _FIRST))
    return _bound(0)


def _bound(port: int) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        found: int = probe.getsockname()[1]
        return found
