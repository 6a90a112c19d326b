"""systemd's notify protocol: a datagram with KEY=VALUE lines. Source: sd_notify(3)."""

from __future__ import annotations

import os
import socket


class Notifier:
    """Tells systemd READY, STATUS, WATCHDOG, RELOADING, STOPPING; silent when not started by systemd."""

    def __init__(self, address: str | None = None) -> None:
        given = address if address is not None else os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + given[1:] if given.startswith("@") else given
        usec = int(os.environ.get("WATCHDOG_USEC", "0") or 0)
        self.watchdog_seconds = usec / 1e6 / 3 if usec else None
        """Feed at least this often (a third of the limit); None: no watchdog."""

    def send(self, *lines: str) -> None:
        """One datagram; a systemd that does not listen is not our error."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
            try:
                sock.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                return
