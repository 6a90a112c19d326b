"""Errors of the operating system in words."""

from __future__ import annotations

import os
import socket
import ssl


def reason(exc: Exception) -> str:
    """One clause, without addresses.

    >>> reason(ConnectionRefusedError(111, "Connect call failed ('10.1.4.7', 502)"))
    'connection refused'
    """
    if isinstance(exc, socket.gaierror):
        return (exc.strerror or "name not known").lower()
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {exc.verify_message}"
    if isinstance(exc, ssl.SSLError):
        return f"TLS: {(exc.reason or 'failed').lower().replace('_', ' ')}"
    if isinstance(exc, OSError) and exc.errno:
        return os.strerror(exc.errno).lower()
    return str(exc) or type(exc).__name__
