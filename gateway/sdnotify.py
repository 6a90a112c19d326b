"""systemd's notify protocol: a datagram with KEY=VALUE lines. Source: sd_notify(3)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path


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


def runtime_folder() -> Path | None:
    """The unit's RuntimeDirectory=; None when the unit has none, or it is no unit."""
    folder = os.environ.get("RUNTIME_DIRECTORY")
    return Path(folder.split(":")[0]) if folder else None


def answer_reload(accepted: bool) -> None:
    """Left for `lineside reload`, which waits for it: systemd before 253 hears of a reload only what ExecReload= ends with."""
    folder = runtime_folder()
    if folder is not None:
        with suppress(OSError):
            (folder / ".reload").write_text("accepted" if accepted else "refused", encoding="ascii")
            (folder / ".reload").replace(folder / "reload")
