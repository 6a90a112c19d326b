"""An OPC UA server (asyncua) on loopback: every policy, anonymous, user ``edge`` / ``s3cret`` or any certificate."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

from asyncua import Node, Server, ua
from asyncua.common.callback import CallbackType
from asyncua.common.utils import ServiceError
from asyncua.crypto.cert_gen import generate_private_key, generate_self_signed_app_certificate
from asyncua.crypto.permission_rules import User, UserRole
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.testkit.servers.opcua_space import QuickServer
from gateway.testkit.servers.ports import free_port

NAMESPACE = "http://lineside.example/cnc"
URI = "urn:lineside:testkit:opcua"
_POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")


class _Users:
    """The server's user manager, as asyncua calls it."""

    def get_user(
        self, iserver: object, username: str | None = None, password: str | None = None, certificate: object = None
    ) -> User | None:
        if username is None or (username, password) == ("edge", "s3cret"):
            return User(role=UserRole.User, name=username or ("certificate" if certificate else "anonymous"))
        return None


async def _refuse(certificate: object, description: object) -> None:
    raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)


@cache
def _certificate() -> tuple[bytes, RSAPrivateKey]:
    """(certificate as DER, private key), the same for all servers of a process."""
    key: RSAPrivateKey = generate_private_key()
    names = [x509.UniformResourceIdentifier(URI), x509.DNSName("localhost")]
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = generate_self_signed_app_certificate(key, URI, {}, names, extended=usage)
    return certificate.public_bytes(Encoding.DER), key


class OpcuaServer:
    """Variables by name under one object; `stop` and `start` keep port, nodes and certificate.

    values      initial value of each variable, or an `asyncua.ua.Variant` that also says its type
    encrypted   offers Basic256Sha256, Aes128_Sha256_RsaOaep and Aes256_Sha256_RsaPss beside None
    anonymous   False: only the user may come in
    trusting    False: refuses every client certificate, as a server does until somebody accepts it

    `writes` holds what clients wrote.
    """

    def __init__(self, values: Mapping[str, object], *, encrypted: bool = False, anonymous: bool = True, trusting: bool = True) -> None:
        self.port = free_port()
        self._values, self._encrypted, self._anonymous, self._trusting = dict(values), encrypted, anonymous, trusting
        self._server: Server | None = None
        self._running = False
        self._parent: Node | None = None
        self._nodes: dict[str, Node] = {}
        self.writes: list[object] = []

    @property
    def server(self) -> Server:
        """asyncua's own, for what only one test needs."""
        assert self._server is not None, "the server was never started"
        return self._server

    def nodes(self, name: str) -> Node:
        return self._nodes[name]

    def _wrote(self, event: object, _dispatcher: object = None) -> None:
        if getattr(event, "is_external", False):
            self.writes.append(event)

    async def tick(self) -> None:
        """The server's clock, which stands still otherwise."""
        node = self.server.get_node(ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime))
        await node.write_value(datetime.now(UTC))

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/lineside"

    @staticmethod
    def node(name: str) -> str:
        """The node id as it is written in a configuration."""
        return f"nsu={NAMESPACE};s={name}"

    async def start(self) -> None:
        """The first server of a process takes a second or two, for the address space of the standard."""
        if self._server is None:
            self._server = await self._build()
        await self._server.start()
        self._running = True

    async def stop(self) -> None:
        """Cuts every connection and forgets every session, as a power cut does."""
        if self._server is not None and self._running:
            self._running = False
            await self._server.stop()
            for session in list(self._server.iserver._external_sessions.values()):  # they would outlive their connections
                await session.close_session(True)

    async def _build(self) -> Server:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        server = Server(iserver=QuickServer(user_manager=_Users()))
        server.iserver.disabled_clock = True  # it ticks once a second, and `stop` would wait for the tick
        await server.init()
        server.set_endpoint(self.url)
        await server.set_application_uri(URI)
        if self._encrypted:
            await self._load_certificate(server)
        secured = [getattr(ua.SecurityPolicyType, f"{policy}_{mode}") for policy in _POLICIES for mode in ("SignAndEncrypt", "Sign")]
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity, *(secured if self._encrypted else [])])
        named = [ua.UserNameIdentityToken, ua.X509IdentityToken]
        server.set_identity_tokens([ua.AnonymousIdentityToken, *named] if self._anonymous else named)
        server.subscribe_server_callback(CallbackType.PreWrite, self._wrote)
        if not self._trusting:
            server.set_certificate_validator(_refuse)
        namespace = await server.register_namespace(NAMESPACE)
        self._parent = await server.nodes.objects.add_object(ua.NodeId("Machine", namespace), ua.QualifiedName("Machine", namespace))
        for name, value in self._values.items():
            await self.add(name, value)
        return server

    @staticmethod
    async def _load_certificate(server: Server) -> None:
        certificate, server.iserver.private_key = _certificate()  # to load it, and see that it is one, takes a tenth of a second
        await server.load_certificate(certificate, "der")

    async def __aenter__(self) -> OpcuaServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def set(self, name: str, value: object, *, status: int = 0, source_time: datetime | None = None) -> None:
        """Write a value with its status code and source time (UTC); without one the time is now."""
        assert self._server is not None, "the server was never started"
        variant = value if isinstance(value, ua.Variant) else ua.Variant(value)
        data = ua.DataValue(variant, StatusCode=ua.StatusCode(status), SourceTimestamp=source_time or datetime.now(UTC))
        await self._server.write_attribute_value(self._nodes[name].nodeid, data)

    async def add(self, name: str, value: object) -> None:
        """One more variable, also while the server runs."""
        assert self._parent is not None, "the server was never started"
        node = ua.NodeId(name, self._parent.nodeid.NamespaceIndex)
        self._nodes[name] = await self._parent.add_variable(node, ua.QualifiedName(name, node.NamespaceIndex), value)
