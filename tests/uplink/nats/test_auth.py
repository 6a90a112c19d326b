"""Every way to log in and to encrypt, against the real nats-server; what is refused says what to change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.contract import NotConnected, OutcomeKind
from gateway.testkit.rigs import event
from gateway.testkit.servers.nats import NatsServer

Make = Callable[..., Any]
SECRET = {"secret": "word"}


async def delivers(uplink: Any) -> None:
    assert [outcome.kind for outcome in await uplink.send([event(1), event(2)])] == [OutcomeKind.SENT] * 2


@pytest.mark.parametrize(
    ("authorization", "options"),
    [
        ('authorization { user: edge, password: "pw" }', {"user": "edge", "password": SECRET}),
        ('authorization { token: "pw" }', {"token": SECRET}),
    ],
    ids=["password", "token"],
)
async def test_right_secret_connects_and_a_wrong_one_does_not(make: Make, authorization: str, options: dict[str, Any]) -> None:
    async with NatsServer(extra=authorization) as server:
        await delivers(await make(server.url, secrets={"word": "pw"}, create_stream=True, **options))
        with pytest.raises(NotConnected, match="Authorization Violation") as caught:
            await make(server.url, secrets={"word": "wrong-one"}, **options)
        assert "wrong-one" not in str(caught.value)
        with pytest.raises(NotConnected, match="Authorization Violation"):
            await make(server.url)


async def test_nkey_logs_in_and_another_does_not(make: Make, new_key: Any) -> None:
    known, unknown = new_key("U"), new_key("U")
    async with NatsServer(extra=f"authorization {{ users: [ {{ nkey: {known.public} }} ] }}") as server:
        await delivers(await make(server.url, secrets={"word": f"{known.seed}\n"}, create_stream=True, nkey=SECRET))
        with pytest.raises(NotConnected, match="Authorization Violation") as caught:
            await make(server.url, secrets={"word": unknown.seed}, nkey=SECRET)
        assert unknown.seed not in str(caught.value)


@pytest.mark.parametrize("end", ["\n", "", "\r\n"])
async def test_credentials_of_an_operator_log_in_and_those_of_another_do_not(make: Make, operator: Any, end: str) -> None:
    """The file may come from Windows, or have lost its last line end in a secret store."""
    content = operator.credentials()
    content = content.replace("\n", "\r\n") if end == "\r\n" else content.rstrip("\n") + end
    async with NatsServer(extra=operator.config) as server:
        await delivers(await make(server.url, secrets={"word": content}, create_stream=True, credentials=SECRET))
        with pytest.raises(NotConnected, match="Authorization Violation"):
            await make(server.url, secrets={"word": type(operator)().credentials()}, credentials=SECRET)


@pytest.mark.parametrize("option", ["credentials", "nkey"])
@pytest.mark.parametrize("content", ["", "not what it should be", "SUAAAA", "-----BEGIN NATS USER JWT-----\n", "SÜ" * 30])
async def test_damaged_secret_is_told_at_once_and_not_shown(make: Make, server: NatsServer, option: str, content: str) -> None:
    with pytest.raises(NotConnected, match=r"secret word (is not the content of a \.creds file|holds no seed)") as caught:
        await make(server.url, secrets={"word": content}, **{option: SECRET})
    assert not content or content not in str(caught.value)


async def test_seed_of_an_account_is_not_a_users(make: Make, server: NatsServer, new_key: Any) -> None:
    with pytest.raises(NotConnected, match="begins with SU"):
        await make(server.url, secrets={"word": new_key("A").seed}, nkey=SECRET)


async def test_tls_by_an_authority_that_is_known_and_one_that_is_not(make: Make, pki: Any) -> None:
    async with NatsServer(extra=f"{pki.server} }}") as server:
        url = f"tls://localhost:{server.port}"
        await delivers(await make(url, ca=pki.ca, create_stream=True))
        for untrusted in ({"ca": pki.other_ca}, {}):
            with pytest.raises(NotConnected, match="the server's certificate is refused"):
                await make(url, **untrusted)
        with pytest.raises(NotConnected, match=r"certificate is refused.*not valid for '127.0.0.1'"):
            await make(f"tls://127.0.0.1:{server.port}", ca=pki.ca)


@pytest.mark.parametrize("scheme", ["nats", "tls"])
async def test_server_without_tls_gets_no_password_from_who_wants_it(make: Make, pki: Any, scheme: str) -> None:
    async with NatsServer(extra='authorization { user: edge, password: "pw" }') as server:
        with pytest.raises(NotConnected, match="the server offers no TLS"):
            await make(f"{scheme}://localhost:{server.port}", ca=pki.ca, secrets={"word": "pw"}, user="edge", password=SECRET)


async def test_tls_that_a_server_only_offers_is_taken(make: Make, pki: Any) -> None:
    async with NatsServer(extra=f"{pki.server} }}\nallow_non_tls: true") as server:
        await delivers(await make(f"tls://localhost:{server.port}", ca=pki.ca, create_stream=True))


async def test_client_certificate_opens_a_server_that_asks_for_one(make: Make, pki: Any) -> None:
    async with NatsServer(extra=f"{pki.server}, verify: true }}") as server:
        url = f"tls://localhost:{server.port}"
        ours = {"client_certificate": pki.client, "client_key": pki.client_key}
        await delivers(await make(url, ca=pki.ca, create_stream=True, **ours))
        with pytest.raises(NotConnected, match="wants a client certificate"):
            await make(url, ca=pki.ca)
        with pytest.raises(NotConnected, match="refused our client certificate"):
            await make(url, ca=pki.ca, client_certificate=pki.stranger, client_key=pki.stranger_key)


async def test_client_certificate_is_the_user(make: Make, pki: Any) -> None:
    """`verify_and_map`: no other secret is needed."""
    extra = f"{pki.server}, verify_and_map: true }}\nauthorization {{ users: [ {{ user: edge }} ] }}"
    async with NatsServer(extra=extra) as server:
        url = f"tls://localhost:{server.port}"
        await delivers(
            await make(url, ca=pki.ca, create_stream=True, client_certificate=pki.client, client_key=pki.client_key),
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ca": "/nowhere/ca.pem"}, "ca /nowhere/ca.pem: no such file"),
        ({"ca": "KEY"}, "not PEM"),
        ({"client_certificate": "CERT", "client_key": "OTHER_KEY"}, "do not belong together"),
        ({"client_certificate": "CERT", "client_key": "/nowhere/key"}, "no such file"),
    ],
)
async def test_files_that_cannot_be_used_are_named(make: Make, server: NatsServer, pki: Any, options: dict[str, str], words: str) -> None:
    files = {"CERT": pki.client, "KEY": pki.client_key, "OTHER_KEY": pki.stranger_key}
    with pytest.raises(NotConnected, match=words):
        await make(server.url, **{name: files.get(value, value) for name, value in options.items()})


async def test_handshake_first_is_met_by_tls_first(make: Make, pki: Any) -> None:
    async with NatsServer(extra=f"{pki.server}, handshake_first: true }}") as server:
        url = f"tls://localhost:{server.port}"
        await delivers(await make(url, ca=pki.ca, tls_first=True, create_stream=True))
        with pytest.raises(NotConnected, match=r"no answer within .* set tls_first: true"):
            await make(url, ca=pki.ca, timeout="700ms")


async def test_tls_first_where_the_server_speaks_first_says_so(make: Make, pki: Any) -> None:
    async with NatsServer(extra=f"{pki.server} }}") as server:
        with pytest.raises(NotConnected, match="leave tls_first out"):
            await make(f"tls://localhost:{server.port}", ca=pki.ca, tls_first=True, timeout="700ms")


async def test_user_that_expires_is_told_in_the_servers_words(make: Make, operator: Any) -> None:
    """A server that throws us out says why; the next send says it, and so does the next login."""
    async with NatsServer(extra=operator.config) as server:
        content = operator.credentials(exp=int(time.time()) + 2)
        uplink = await make(server.url, secrets={"word": content}, create_stream=True, credentials=SECRET)
        with pytest.raises(NotConnected, match="connection lost: user authentication expired"):
            await asyncio.wait_for(_send_for_ever(uplink), 10)
        with pytest.raises(NotConnected, match=r"(?i)authentication expired|authorization violation|unexpected EOF"):
            await make(server.url, secrets={"word": content}, credentials=SECRET)


async def _send_for_ever(uplink: Any) -> None:
    while True:
        await uplink.send([event(1)])
