"""TLS before the CRM as nginx does it: on OpenSSL's own sockets, because a server on asyncio cuts its alerts off."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from contextlib import suppress
from typing import Any, Self


class Terminator(socketserver.ThreadingTCPServer):
    """context   may be replaced while it runs; counts for the next connection
    shown        common names of the certificates clients showed, as they changed
    opened       handshakes that went well and were followed by a word
    """

    allow_reuse_address = daemon_threads = True

    def __init__(self, context: ssl.SSLContext, to: int, *, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), socketserver.BaseRequestHandler)
        self.context, self.to, self.port = context, to, int(self.server_address[1])
        self.shown: list[str] = []
        self.opened = 0
        self._open: set[socket.socket] = set()
        self._serving = threading.Thread(target=self.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._serving.join()
        self.cut()
        self.server_close()

    def cut(self) -> None:
        """Every connection."""
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def finish_request(self, request: Any, client_address: object) -> None:
        with suppress(OSError), self.context.wrap_socket(request, server_side=True) as wrapped:
            self._open.add(wrapped)
            try:
                if first := wrapped.recv(65536):
                    self.opened += 1
                    self._note(wrapped)
                    self._pass_on(first, wrapped)
            finally:
                self._open.discard(wrapped)

    def _note(self, wrapped: ssl.SSLSocket) -> None:
        shown: Any = wrapped.getpeercert() or {}
        names = [value for part in shown.get("subject", ()) for key, value in part if key == "commonName"]
        if names and names != self.shown[-1:]:
            self.shown += names

    def _pass_on(self, first: bytes, wrapped: ssl.SSLSocket) -> None:
        with socket.create_connection(("127.0.0.1", self.to)) as onward:
            onward.sendall(first)
            back = threading.Thread(target=_pump, args=(onward, wrapped), daemon=True)
            back.start()
            _pump(wrapped, onward)
            back.join()


def _pump(out_of: socket.socket, into: socket.socket) -> None:
    with suppress(OSError):
        while block := out_of.recv(65536):
            into.sendall(block)
    for each in (out_of, into):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
