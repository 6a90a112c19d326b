"""The part of systemd that listens: READY, STATUS and WATCHDOG of the daemon."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path


class NotifySocket:
    """fed    when the watchdog was fed last (monotonic)
    status    the last line of STATUS=
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.fed = 0.0
        self.status = ""
        self._ready = asyncio.Event()
        self._socket: socket.socket | None = None

    def open(self) -> None:
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)
        self._ready.clear()
        self.fed = time.monotonic()
        asyncio.get_running_loop().add_reader(self._socket, self._take, self._socket)

    def close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    @property
    def is_ready(self) -> bool:
        """The watchdog counts from here."""
        return self._ready.is_set()

    async def ready(self, seconds: float) -> None:
        await asyncio.wait_for(self._ready.wait(), seconds)

    def _take(self, sock: socket.socket) -> None:
        for line in sock.recv(65536).decode(errors="replace").splitlines():
            name, _, text = line.partition("=")
            if name == "READY":
                self._ready.set()
                self.fed = time.monotonic()
            elif name == "WATCHDOG":
                self.fed = time.monotonic()
            elif name == "STATUS":
                self.status = text
