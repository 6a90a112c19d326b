"""One session with a server, from an open socket to its end, with clear words for what a server may refuse."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua import uaerrors

from drivers.opcua.certificate import CERTIFICATE, own_certificate
from drivers.opcua.config import OpcuaOptions

# The library logs every attempt and every lost frame with a traceback; the supervisor tells it once.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)

SESSION_SECONDS = 60.0  # a PLC has few sessions: one that we lost must not be held for the library's hour
CLOSE_SECONDS = 2.0
RENEW_AFTER = 0.75  # of the channel's life time, as Part 4, 5.6.2 recommends
_NOT_US = (uaerrors.BadUserAccessDenied, uaerrors.BadIdentityTokenRejected, uaerrors.BadIdentityTokenInvalid)
_NOT_OUR_CERTIFICATE = (
    uaerrors.BadSecurityChecksFailed,
    uaerrors.BadCertificateUntrusted,
    uaerrors.BadCertificateInvalid,
    uaerrors.BadCertificateUriInvalid,
    uaerrors.BadCertificateUseNotAllowed,
    uaerrors.BadCertificateTimeInvalid,
    uaerrors.BadCertificateChainIncomplete,
)
FAILURES = (uaerrors.UaError, OSError, ValueError)
"""What the library raises for a peer that is gone or refuses; TimeoutError and ConnectionError are OSErrors."""


class ChannelRefused(ConnectionError):
    """The server answered the request for a secure channel with a fault; which one, the library does not tell."""


class Session:
    """Secure channel and session, opened step by step: the library's own `connect` would start tasks that poll the
    server once a second and call it dead when it takes a second to answer.
    """

    def __init__(self, options: OpcuaOptions, password: str, folder: Path) -> None:
        self._options, self._password, self._folder = options, password, folder
        self.client = Client(options.opcua, timeout=options.timeout)
        self.client.name = self.client.description = "Lineside"
        self.client.application_uri = f"urn:{socket.gethostname()}:lineside"
        self.client.session_timeout = SESSION_SECONDS * 1000

    async def open(self) -> None:
        """Raises one of `FAILURES`."""
        client, options = self.client, self._options
        if options.security != "None":
            await self._secure(options.security.partition("/")[2])
        await client.connect_socket()
        await client.send_hello()
        await self._channel(renew=False)
        await client.create_session()
        await client.activate_session(username=options.user, password=self._password)

    @property
    def renew_seconds(self) -> float:
        """After this long `renew` is due; the server decides the channel's life time."""
        return float(self.client.secure_channel_timeout) / 1000 * RENEW_AFTER

    async def renew(self) -> None:
        """New keys for the channel. Raises one of `FAILURES`."""
        await self._channel(renew=True)
        self.client.uaclient.revolve_security_token()

    async def close(self) -> None:
        """Say good-bye if the server still listens, then drop the socket. Never raises."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.client.disconnect()
        except FAILURES:
            pass
        finally:
            self.client.disconnect_socket()

    async def _channel(self, *, renew: bool) -> None:
        try:
            await self.client.open_secure_channel(renew=renew)
        except AssertionError as exc:  # how the library meets a fault in place of the response
            raise ChannelRefused from exc

    async def _secure(self, mode: str) -> None:
        wanted = getattr(ua.MessageSecurityMode, mode)
        offered = await self.client.connect_and_get_server_endpoints()
        for endpoint in offered:
            if endpoint.SecurityMode == wanted and endpoint.SecurityPolicyUri == SecurityPolicyBasic256Sha256.URI:
                break
        else:
            names = sorted({f"{e.SecurityPolicyUri.rpartition('#')[2]}/{e.SecurityMode.name.rstrip('_')}" for e in offered})
            raise ValueError(f"the server does not offer {self._options.security}, only {', '.join(names) or 'nothing'}")
        certificate, key = await asyncio.to_thread(own_certificate, self._folder, self.client.application_uri)
        await self.client.set_security(
            SecurityPolicyBasic256Sha256,
            CertProperties(certificate, extension="der"),
            CertProperties(key, extension="pem"),
            server_certificate=endpoint.ServerCertificate,
            mode=wanted,
        )


def why(exc: BaseException, options: OpcuaOptions, folder: Path, *, opening: bool) -> str:
    """One clause in the engineer's words. `opening`: nothing was read yet."""
    if isinstance(exc, _NOT_US):
        return f"user {options.user} or its password refused" if options.user else "the server wants a user and a password"
    if isinstance(exc, _NOT_OUR_CERTIFICATE):
        return f"the server does not trust our certificate; accept {folder / CERTIFICATE} there ({_name(exc)})"
    if isinstance(exc, uaerrors.UaStatusCodeError):
        return _name(exc)
    if isinstance(exc, TimeoutError):
        return f"no answer within {options.timeout:g} s"
    if isinstance(exc, ChannelRefused):
        return f"the server refused a secure channel; does it trust our certificate {folder / CERTIFICATE}?"
    if isinstance(exc, ConnectionResetError | ConnectionAbortedError) or type(exc) is ConnectionError:
        hint = f"; does the server trust our certificate {folder / CERTIFICATE}?" if opening and options.security != "None" else ""
        return f"connection lost{hint}"
    if isinstance(exc, OSError) and exc.errno is not None and exc.errno > 0:
        return os.strerror(exc.errno).lower()
    return (str(exc) or type(exc).__name__).splitlines()[0][:200]


def _name(exc: uaerrors.UaStatusCodeError) -> str:
    name, text = ua.status_codes.get_name_and_doc(exc.code)
    return f"{name}: {text.rstrip('.')}" if text else str(name)


def peer(options: OpcuaOptions) -> str:
    """``host:port``."""
    return urlsplit(options.opcua).netloc
