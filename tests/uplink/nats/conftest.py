"""The real nats-server and uplinks to it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nkeys
import pytest
import trustme
import uvloop
from nats.aio.msg import Msg

from gateway import registry
from gateway.contract import Uplink
from gateway.testkit.contexts import uplink_context
from gateway.testkit.servers.nats import NatsServer

Make = Callable[..., Any]
Read = Callable[..., Any]


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Encryption goes over each loop's own transports; a gateway runs on uvloop where it is installed."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    return factories | {"uvloop": uvloop.new_event_loop} if item.path.name == "test_auth.py" else factories


@pytest.fixture
async def server() -> AsyncIterator[NatsServer]:
    async with NatsServer() as running:
        yield running


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """``make(url, **options)``: a connected uplink, closed at the end."""
    made: list[Uplink] = []

    async def build(url: str, *, secrets: dict[str, str] | None = None, **options: Any) -> Uplink:
        plugin = registry.uplink("nats")
        given = {"nats": url, "stream": "EVENTS", "timeout": "3s"} | options
        uplink = plugin.build(plugin.options.model_validate(given), uplink_context(secrets=secrets))
        made.append(uplink)
        await uplink.connect()
        return uplink

    yield build
    for uplink in made:
        await uplink.close()


@pytest.fixture
def read() -> Read:
    """``read(server, count)``: messages of the stream by nats-py, as any consumer sees them."""

    async def messages(server: NatsServer, count: int) -> Sequence[Msg]:
        client = await server.client()
        try:
            subscription = await client.jetstream().pull_subscribe(">", stream="EVENTS")
            found: list[Msg] = []
            while len(found) < count:
                found += await subscription.fetch(count - len(found), timeout=5)
            return found
        finally:
            await client.close()

    return messages


class Proxy:
    """Between a client and a server: what the server says can be kept back, what the client says always arrives."""

    def __init__(self, port: int) -> None:
        self._port, self._silent = port, False
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def silence(self) -> None:
        """From now on nothing of the server's comes through."""
        self._silent = True

    async def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, ours]
        await asyncio.gather(self._pass(reader, ours, always=True), self._pass(theirs, writer, always=False))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, always: bool) -> None:
        try:
            while data := await reader.read(65536):
                if always or not self._silent:
                    writer.write(data)
        except ConnectionError:
            return
        finally:
            writer.close()


@pytest.fixture
async def proxy(server: NatsServer) -> AsyncIterator[Proxy]:
    made = Proxy(server.port)
    await made.start()
    yield made
    await made.stop()


class Key:
    """An nkey of one role: ``Key("U")`` is a user's."""

    def __init__(self, role: str) -> None:
        prefix = {"O": nkeys.PREFIX_BYTE_OPERATOR, "A": nkeys.PREFIX_BYTE_ACCOUNT, "U": nkeys.PREFIX_BYTE_USER}[role]
        self._raw = os.urandom(32)
        self.seed = nkeys.encode_seed(self._raw, prefix).decode()
        self.public: str = nkeys.from_seed(bytearray(self.seed.encode())).public_key.decode()

    def jwt(self, subject: str, name: str, *, exp: int | None = None, **nats: Any) -> str:
        """A claim about `subject`, signed by this key."""
        claims: dict[str, Any] = {
            "jti": name,
            "iat": 1_700_000_000,
            "iss": self.public,
            "name": name,
            "sub": subject,
            "nats": {"version": 2} | nats,
        }
        if exp is not None:
            claims["exp"] = exp
        signed = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(claims)}"
        signature = nkeys.from_seed(bytearray(self.seed.encode())).sign(signed.encode())
        return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


class Operator:
    """A tree of trust without `nsc`: one operator, one account with JetStream, users under it."""

    def __init__(self) -> None:
        operator, system = Key("O"), Key("A")
        self._account = Key("A")
        unlimited = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
        stored = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
        accounts = {
            system.public: operator.jwt(system.public, "SYS", type="account", limits=unlimited),
            self._account.public: operator.jwt(self._account.public, "PLANT", type="account", limits=unlimited | stored),
        }
        preload = "\n".join(f"{public}: {jwt}" for public, jwt in accounts.items())
        root = operator.jwt(operator.public, "acme", type="operator", system_account=system.public)
        self.config = f"operator: {root}\nsystem_account: {system.public}\nresolver: MEMORY\nresolver_preload {{\n{preload}\n}}"

    def credentials(self, *, exp: int | None = None, **permissions: Any) -> str:
        """Content of a .creds file for a new user; `exp` in seconds since 1970."""
        user = Key("U")
        jwt = self._account.jwt(
            user.public, "press-01", exp=exp, type="user", subs=-1, data=-1, payload=-1, **({"pub": {}, "sub": {}} | permissions)
        )
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )


@pytest.fixture
def new_key() -> type[Key]:
    return Key


@pytest.fixture
def operator() -> Operator:
    return Operator()


@dataclass(frozen=True)
class Pki:
    """Files of one authority, and of another that nobody trusts."""

    ca: str
    server: str
    client: str
    client_key: str
    stranger: str
    stranger_key: str
    other_ca: str


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    """`server` is the beginning of a nats-server's tls block, which the test closes."""
    authority, other = trustme.CA(), trustme.CA()
    files = {"server": authority.issue_cert("localhost"), "client": authority.issue_cert("edge"), "stranger": other.issue_cert("edge")}
    for name, made in files.items():
        made.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        for blob in made.cert_chain_pems:
            blob.write_to_path(tmp_path / f"{name}.pem", append=True)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    path = {name: str(tmp_path / name) for name in ("ca.pem", "other.pem", "client.pem", "client.key", "stranger.pem", "stranger.key")}
    block = f'tls {{ cert_file: "{tmp_path / "server.pem"}", key_file: "{tmp_path / "server.key"}", ca_file: "{path["ca.pem"]}"'
    return Pki(path["ca.pem"], block, *(path[name] for name in ("client.pem", "client.key", "stranger.pem", "stranger.key", "other.pem")))
