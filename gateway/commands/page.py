"""Asks the page of a gateway on this machine."""

from __future__ import annotations

import http.client
import ssl

from gateway.config.glance import Glance

ANSWER_SECONDS = 5.0
MOST_BYTES = 8 << 20
HERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def has_page(known: Glance) -> bool:
    """One on port 0 is nowhere to be found, and is treated as none."""
    return known.page is not None and bool(known.page[1])


def ask(known: Glance, path: str) -> tuple[int, bytes]:
    """Status and body. Where it does not listen as configured it may at the loopback, until somebody can log in.

    raises OSError, http.client.HTTPException   it does not answer within the deadline
    """
    assert known.page is not None  # noqa: S101  `has_page` says so
    host, port = known.page
    host = HERE.get(host, host)
    try:
        return _ask(host, port, path, tls=known.tls)
    except ConnectionRefusedError:
        if host == "127.0.0.1":
            raise
        return _ask("127.0.0.1", port, path, tls=known.tls)


def _ask(host: str, port: int, path: str, *, tls: bool) -> tuple[int, bytes]:
    connection = _tls(host, port) if tls else http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(MOST_BYTES)
    finally:
        connection.close()


def _tls(host: str, port: int) -> http.client.HTTPSConnection:
    """Its certificate is for its name in the plant, and nothing secret is said: whoever listens on this machine's port is it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=ANSWER_SECONDS, context=context)
