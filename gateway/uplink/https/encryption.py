"""TLS contexts from the options, and what is wrong with a connection, in words."""

from __future__ import annotations

import os
import ssl

import aiohttp

from gateway.contract import NotConnected, UplinkContext, secret_file
from gateway.uplink.https.config import HttpsOptions

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# What a server says after the handshake, when it has looked at our certificate.
_ALERTS = (
    "CERTIFICATE_REQUIRED",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNKNOWN_CA",
    "ALERT_CERTIFICATE",
    "ALERT_HANDSHAKE_FAILURE",
    "ALERT_ACCESS_DENIED",
)


def context_of(options: HttpsOptions, context: UplinkContext, peer: str) -> ssl.SSLContext:
    """Reads files; raises NotConnected, without a word of the key."""
    authority = options.tls.ca or options.ca
    try:
        tls = ssl.create_default_context(cafile=authority)
    except (OSError, ValueError) as exc:
        raise NotConnected(peer, f"ca {authority} cannot be used: {exc}"[:200]) from exc
    tls.minimum_version = _VERSIONS[options.tls.min]
    if options.tls.client_cert and options.tls.client_key:
        _present(tls, options.tls.client_cert, context.secret(options.tls.client_key), peer)
    return tls


def stamp_of(options: HttpsOptions) -> tuple[float, ...]:
    """When the certificates on disk were changed; 0 for one that is not there. A key is renewed with its certificate."""
    files = [file for file in (options.tls.ca or options.ca, options.tls.client_cert) if file]
    return tuple(_changed(file) for file in files)


def _changed(file: str) -> float:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return 0


def _present(tls: ssl.SSLContext, certificate: str, key: str, peer: str) -> None:
    try:
        with secret_file(key) as file:
            # With a password given, an encrypted key does not ask for one on the terminal.
            tls.load_cert_chain(certificate, file, password="")
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) and not isinstance(exc, ssl.SSLError) else "not PEM, or they do not belong together"
        raise NotConnected(peer, f"client_cert {certificate} and client_key cannot be used: {why}"[:200]) from exc


def refuses_us(exc: BaseException) -> bool:
    """The server did not like our certificate, or has none of ours; nothing of a request was read."""
    return any(alert in str(exc).upper() for alert in _ALERTS)


def why(exc: Exception) -> str:
    """One clause."""
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return _certificate(exc.certificate_error)
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return f"the name {exc.host} is not known: {in_words(exc.os_error)}"[:200]
    if isinstance(exc, aiohttp.ClientConnectorError):
        return in_words(exc.os_error)
    return (str(exc) or type(exc).__name__)[:200]


def in_words(exc: OSError) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return _certificate(exc)
    if not isinstance(exc, ssl.SSLError) and (exc.errno or 0) > 0:
        return os.strerror(exc.errno or 0).lower()
    return (str(exc) or type(exc).__name__)[:200]


def _certificate(exc: Exception) -> str:
    said = exc.verify_message if isinstance(exc, ssl.SSLCertVerificationError) else str(exc)
    return f"certificate refused: {said}"[:200]
