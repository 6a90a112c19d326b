"""One session with a server, from an open socket to its end."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from asyncua import Client, ua
from asyncua.crypto import security_policies as policies
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua import uaerrors
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from drivers.opcua import bounds
from drivers.opcua.certificate import CERTIFICATE, own_certificate
from drivers.opcua.config import OpcuaOptions
from drivers.opcua.refusal import FAILURES, ChannelRefused, PlainPassword
from drivers.opcua.trust import Shown, check
from gateway.contract import ConfigError, SourceContext

# The library logs every attempt and every lost frame with a traceback; the supervisor tells it once.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)
bounds.install()

SESSION_SECONDS = 60.0  # a PLC has few sessions: one that we lost must not be held for the library's hour
PUBLISHES = 3  # it must not end between two of them, which are all that the server may hear of us
CLOSE_SECONDS = 2.0
RENEW_AFTER = 0.75  # of the channel's life time, as Part 4, 5.6.2 recommends
_POLICIES = {
    "Basic256Sha256": policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": policies.SecurityPolicyAes256Sha256RsaPss,
}
_FOR_PASSWORDS = [policies.SecurityPolicyAes256Sha256RsaPss.URI, policies.SecurityPolicyBasic256Sha256.URI]  # the rest behind these
_FOR_PASSWORDS += [
    policies.SecurityPolicyAes128Sha256RsaOaep.URI,
    policies.SecurityPolicyBasic256.URI,
    policies.SecurityPolicyBasic128Rsa15.URI,
]


class Session:
    """Secure channel and session, opened step by step: the library's own `connect` would start tasks that poll the
    server once a second and call it dead when it takes a second to answer.

    server            what the server calls itself: its product and name
    ends              when the certificates in use end: ours, the server's, and the user's
    """

    def __init__(self, options: OpcuaOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self.client = Client(options.opcua, timeout=options.timeout)
        self.client.name = self.client.description = "Lineside"
        self.client.application_uri = f"urn:{socket.gethostname()}:lineside"
        self.client.session_timeout = max(SESSION_SECONDS, PUBLISHES * options.publishing) * 1000
        self._largest_request = bounds.LARGEST_MESSAGE
        self.server = ""
        self.ends: dict[str, datetime] = {}

    @property
    def own_file(self) -> Path:
        return self._context.pki / "own" / CERTIFICATE

    async def open(self) -> None:
        """Raises one of `FAILURES`, or ConfigError for files of the user that cannot be read."""
        client, options = self.client, self._options
        password = self._context.secret(options.password) if options.password else ""
        if options.security != "None":
            await self._secure(*options.security.split("/"))
        if options.certificate:
            client.user_certificate, client.user_private_key = await asyncio.to_thread(self._user)
            self.ends["the user's"] = client.user_certificate.not_valid_after_utc
        await client.connect_socket()
        await client.send_hello()
        self._largest_request = bounds.agreed(client.uaclient.protocol._connection._limits)
        await self._channel(renew=False)
        created = await client.create_session()
        self._described(created.ServerEndpoints)
        if options.user:
            self._choose_token()
        await client.activate_session(username=options.user, password=password, certificate=client.user_certificate)

    async def ask(self, request: Any, response: type[Any], timeout: float | None = None) -> Any:
        """The response to a request, decoded. Raises one of `FAILURES`; BadRequestTooLarge before it sends more than the server takes."""
        if self._largest_request < bounds.LARGEST_MESSAGE and len(struct_to_binary(request)) > self._largest_request:
            raise uaerrors.BadRequestTooLarge
        answer = struct_from_binary(response, await self.send(request, timeout))
        answer.ResponseHeader.ServiceResult.check()
        return answer

    async def send(self, request: Any, timeout: float | None = None) -> Any:
        """The bytes of the response. The library's only way to them is private; a test pins it."""
        return await self.client.uaclient._send_request(request, timeout)

    @property
    def publish_seconds(self) -> float:
        """Between two publishes at most, for the session that the server granted; infinite if it does not end."""
        return float(self.client.session_timeout) / 1000 / PUBLISHES or inf

    @property
    def renew_seconds(self) -> float:
        """After this long `renew` is due; the server decides the channel's life time."""
        return float(self.client.secure_channel_timeout) / 1000 * RENEW_AFTER

    async def renew(self) -> None:
        """New keys for the channel. Raises one of `FAILURES`.

        What is still under way comes with the old ones. The library would judge by the server's time how old these are, and a PLC's
        clock may be hours behind.
        """
        self.client.uaclient.protocol._connection.security_token.CreatedAt = datetime.now(UTC)
        await self._channel(renew=True)
        self.client.uaclient.revolve_security_token()

    async def close(self) -> None:
        """Say good-bye if the server still listens, then drop the socket, whatever is still in it. Never raises."""
        protocol = self.client.uaclient.protocol
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.client.disconnect()
        except FAILURES:
            pass
        finally:
            self.client.disconnect_socket()
            if protocol is not None and protocol.transport is not None:
                protocol.transport.abort()  # a peer that takes nothing any more would hold the socket for ever

    async def _channel(self, *, renew: bool) -> None:
        try:
            await self.client.open_secure_channel(renew=renew)
        except AssertionError as exc:  # how the library meets a fault in place of the response
            raise ChannelRefused from exc

    async def _secure(self, policy: str, mode: str) -> None:
        offered = await self.client.connect_and_get_server_endpoints()
        self._described(offered)
        endpoint = self._endpoint(offered, policy, mode)
        theirs = await asyncio.to_thread(self._trusted, endpoint)
        older = sorted(self._context.state_dir.parent.glob("*/pki"))  # there was one per machine once
        own = await asyncio.to_thread(own_certificate, self.own_file.parent, self.client.application_uri, older, self._now)
        self.ends = {"our": own.until, "the server's": theirs.not_valid_after_utc}
        await self.client.set_security(
            _POLICIES[policy],
            CertProperties(own.certificate, extension="der"),
            CertProperties(own.key, extension="pem"),
            server_certificate=theirs.public_bytes(serialization.Encoding.DER),
            mode=getattr(ua.MessageSecurityMode, mode),
        )

    def _endpoint(self, offered: Any, policy: str, mode: str) -> Any:
        wanted = getattr(ua.MessageSecurityMode, mode)
        for endpoint in offered:
            if endpoint.SecurityMode == wanted and endpoint.SecurityPolicyUri == _POLICIES[policy].URI:
                return endpoint
        names = sorted({f"{e.SecurityPolicyUri.rpartition('#')[2]}/{e.SecurityMode.name.rstrip('_')}" for e in offered})
        raise ValueError(f"the server does not offer {self._options.security}, only {', '.join(names) or 'nothing'}")

    def _trusted(self, endpoint: Any) -> x509.Certificate:
        context, options = self._context, self._options
        host = urlsplit(options.opcua).hostname or ""
        shown = Shown(endpoint.ServerCertificate or b"", endpoint.Server.ApplicationUri or "", host, options.opcua)
        return check(shown, context.pki, context.state_dir / "pinned.json", options.trust, self._now)

    @property
    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._context.clock.now_ns() / 1e9, UTC)

    def _described(self, endpoints: Any) -> None:
        for endpoint in endpoints or ():
            server = endpoint.Server
            self.server = " ".join(filter(None, (server.ApplicationName.Text, server.ProductUri, server.ApplicationUri)))

    def _choose_token(self) -> None:
        """The strongest encryption the server offers for passwords; in clear text only if that was allowed, or the channel hides it."""
        client = self.client
        offered = [policy for policy in client._policy_ids if policy.TokenType == ua.UserTokenType.UserName]
        known = [p for p in offered if self._token_uri(p) in _FOR_PASSWORDS and client.security_policy.peer_certificate]
        if known:
            client._policy_ids = [min(known, key=lambda policy: _FOR_PASSWORDS.index(self._token_uri(policy)))]
        elif client.security_policy.Mode != ua.MessageSecurityMode.SignAndEncrypt and not self._options.allow_plain_password:
            raise PlainPassword(
                "the server takes the password in clear text only; choose a SignAndEncrypt security, or write allow_plain_password: true"
            )
        else:
            client._policy_ids = offered or client._policy_ids

    def _token_uri(self, policy: Any) -> str:
        return str(policy.SecurityPolicyUri or self.client.security_policy.URI)

    def _user(self) -> tuple[x509.Certificate, Any]:
        options = self._options
        assert options.certificate is not None and options.key is not None  # noqa: S101, PT018  checked by OpcuaOptions; this tells mypy
        secret = self._context.secret(options.key_password).encode() if options.key_password else None
        try:
            certificate, key = options.certificate.read_bytes(), options.key.read_bytes()
            load: Callable[..., Any] = serialization.load_pem_private_key if b"-----BEGIN" in key else serialization.load_der_private_key
            pem = b"-----BEGIN" in certificate
            user = x509.load_pem_x509_certificate(certificate) if pem else x509.load_der_x509_certificate(certificate)
            return user, load(key, secret)
        except OSError as exc:
            raise ConfigError(f"{exc.filename} cannot be read: {exc.strerror}") from exc
        except (ValueError, TypeError) as exc:
            raise ConfigError(f"certificate or key of the user cannot be used: {exc}") from exc
