"""Who may come in, and what the engineer is told when we may not."""

from __future__ import annotations

import asyncio
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from drivers.opcua.certificate import own_certificate
from drivers.opcua.config import Security
from drivers.opcua.refusal import click
from gateway.contract import ConfigError, NotConnected, Trouble
from gateway.testkit.servers.opcua import OpcuaServer
from gateway.testkit.servers.ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")
ENCRYPTED = "Basic256Sha256/SignAndEncrypt"


@pytest.mark.parametrize("user", [None, "edge"])
@pytest.mark.parametrize("security", get_args(Security))
async def test_every_way_in(server: OpcuaServer, probe: Any, security: str, user: str | None) -> None:
    who: dict[str, Any] = {"user": user, "password": {"secret": "good"}} if user else {}
    async with probe(server.url, {"speed": server.node("speed")}, security=security, **who) as reader:
        assert (await reader.each(1)).value.tolist() == [1500.0]
        policy = reader.source._connection.session.client.uaclient.protocol._connection.security_policy
        assert (policy.URI.rpartition("#")[2], policy.Mode.name.rstrip("_")) == tuple((security + "/None").split("/")[:2])
    assert server.writes == []


@pytest.mark.parametrize("security", ["None", ENCRYPTED])
async def test_a_wrong_password_is_said_so(server: OpcuaServer, probe: Any, security: str) -> None:
    source = probe(server.url, {"speed": server.node("speed")}, security=security, user="edge", password={"secret": "bad"}).source
    with pytest.raises(NotConnected, match="user edge or its password refused") as caught:
        await source.connect()
    assert "guess" not in str(caught.value)
    assert caught.value.login, "so it is not tried again at once"
    await source.close()


async def test_a_server_that_wants_a_user_or_an_accepted_certificate_says_so(probe: Any, tmp_path: Path) -> None:
    async with OpcuaServer({"load": 1.0}, encrypted=True, anonymous=False, trusting=False) as strict:
        nodes = {"load": strict.node("load")}
        nobody, stranger = probe(strict.url, nodes).source, probe(strict.url, nodes, security=ENCRYPTED).source
        with pytest.raises(NotConnected, match="the server wants a user and a password"):
            await nobody.connect()
        with pytest.raises(NotConnected, match=f"does not trust our certificate {tmp_path}/pki/own/own.der: accept it there"):
            await stranger.connect()
        await nobody.close()
        await stranger.close()


async def test_a_password_goes_in_clear_text_only_where_that_is_allowed(probe: Any) -> None:
    async with OpcuaServer({"load": 1.0}) as plain:
        nodes, who = {"load": plain.node("load")}, {"user": "edge", "password": {"secret": "good"}}
        source = probe(plain.url, nodes, **who).source
        with pytest.raises(NotConnected, match=r"takes the password in clear text only; .* or write allow_plain_password: true"):
            await source.connect()
        await source.close()
        async with probe(plain.url, nodes, **who, allow_plain_password=True) as reader:
            assert (await reader.each(1)).value.tolist() == [1.0]


async def test_over_a_plain_channel_the_password_is_encrypted_where_the_server_can(server: OpcuaServer, probe: Any) -> None:
    who = {"user": "edge", "password": {"secret": "good"}}
    async with probe(server.url, {"speed": server.node("speed")}, **who) as reader:
        (policy,) = reader.source._connection.session.client._policy_ids
        assert policy.SecurityPolicyUri.rpartition("#")[2] in ("Aes256_Sha256_RsaPss", "Basic256Sha256")


async def test_a_user_may_be_a_certificate(server: OpcuaServer, probe: Any, tmp_path: Path) -> None:
    own = own_certificate(tmp_path / "user", "urn:operator")
    (tmp_path / "key.pem").write_bytes(own.key)
    entry = {"certificate": own.file, "key": tmp_path / "key.pem", "security": ENCRYPTED}
    async with probe(server.url, {"speed": server.node("speed")}, **entry) as reader:
        assert (await reader.each(1)).value.tolist() == [1500.0]
    for missing, problem in ((tmp_path / "gone.pem", "cannot be read"), (own.file, "cannot be used")):
        source = probe(server.url, {"speed": server.node("speed")}, **(entry | {"key": missing})).source
        with pytest.raises(ConfigError, match=problem):
            await source.connect()
        await source.close()


async def test_a_server_nobody_accepted_waits_in_rejected_until_somebody_does(server: OpcuaServer, probe: Any, tmp_path: Path) -> None:
    source = probe(server.url, {"speed": server.node("speed")}, security=ENCRYPTED, trust="list").source
    with pytest.raises(NotConnected, match=r"lineside trust accept [0-9a-f]{8}$"):
        await source.connect()
    await source.close()
    assert not (tmp_path / "pki/own").exists()  # a stranger is not shown who we are
    (tmp_path / "pki/rejected").rename(tmp_path / "pki/trusted")
    await source.connect()
    await source.close()


async def test_what_to_click_is_told_by_what_the_server_calls_itself() -> None:
    assert click("KEPServerEX/UA urn:host:Kepware.KEPServerEX.V6").startswith("OPC UA Configuration → Trusted Clients")
    assert click("SIMATIC.S7-1500.OPC-UA.Application urn:SIMATIC").startswith("TIA Portal")
    assert click("Prosys OPC UA Simulation Server") == "Certificates → Rejected → Lineside → Trust"
    assert "Rejected, Quarantined or Trusted clients" in click("Home grown")


async def test_an_endpoint_that_is_not_offered_names_what_is(probe: Any) -> None:
    async with OpcuaServer({"load": 1.0}) as plain:
        source = probe(plain.url, {"load": plain.node("load")}, security=ENCRYPTED).source
        with pytest.raises(NotConnected, match=f"does not offer {ENCRYPTED}, only None/None"):
            await source.connect()
        await source.close()


async def test_a_port_nobody_listens_on_is_refused(probe: Any) -> None:
    source = probe(f"opc.tcp://127.0.0.1:{free_port()}", {"load": "i=85"}).source
    with pytest.raises(NotConnected, match="connection refused"):
        await source.connect()
    await source.close()


async def test_a_host_that_accepts_and_never_answers_is_given_up(probe: Any) -> None:
    callers: list[asyncio.StreamWriter] = []
    mute = await asyncio.start_server(lambda reader, writer: callers.append(writer), "127.0.0.1", 0)
    port = mute.sockets[0].getsockname()[1]
    source = probe(f"opc.tcp://127.0.0.1:{port}", {"load": "i=85"}, timeout="300ms").source
    began = time.monotonic()
    with pytest.raises(NotConnected, match="no answer"):
        await source.connect()
    assert time.monotonic() - began < 5
    await source.close()
    for caller in callers:
        caller.transport.abort()
    mute.close()


async def test_the_certificate_is_made_once_with_our_uri(server: OpcuaServer, probe: Any, tmp_path: Path) -> None:
    nodes = {"speed": server.node("speed")}
    async with probe(server.url, nodes, security=ENCRYPTED) as first:
        made = (tmp_path / "pki/own/own.der").read_bytes()
        assert first.source._connection.session.client.application_uri.encode() in made
    async with probe(server.url, nodes, security=ENCRYPTED):
        assert (tmp_path / "pki/own/own.der").read_bytes() == made
    assert stat.S_IMODE((tmp_path / "pki/own/own.key.pem").stat().st_mode) == 0o600


async def test_no_encryption_makes_no_certificate(server: OpcuaServer, probe: Any, tmp_path: Path) -> None:
    async with probe(server.url, {"speed": server.node("speed")}):
        assert not (tmp_path / "pki").exists()


async def test_a_session_that_we_lost_is_not_held_for_an_hour(server: OpcuaServer, probe: Any) -> None:
    async with probe(server.url, {"speed": server.node("speed")}) as reader:
        assert reader.source._connection.session.client.session_timeout == 60_000


async def test_the_end_of_the_users_certificate_is_told_ahead(server: OpcuaServer, probe: Any, tmp_path: Path) -> None:
    own = own_certificate(tmp_path / "user", "urn:operator", now=datetime.now(UTC) - timedelta(days=3640))
    (tmp_path / "key.pem").write_bytes(own.key)
    told: list[Any] = []
    entry = {"certificate": own.file, "key": tmp_path / "key.pem", "security": ENCRYPTED, "told": told}
    async with probe(server.url, {"speed": server.node("speed")}, **entry):
        (last,) = [health for health in told if health.trouble is Trouble.CERTIFICATE]
    assert last.active
    assert last.why == f"the user's certificate ends on {own.until:%Y-%m-%d}"


async def test_a_folder_of_ours_that_cannot_be_used_is_named_and_not_blamed_on_the_server(
    server: OpcuaServer, probe: Any, tmp_path: Path
) -> None:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "own").write_text("no folder")
    with pytest.raises(NotConnected, match=f": {tmp_path}/pki/own: file exists"):
        async with probe(server.url, {"speed": server.node("speed")}, security=ENCRYPTED):
            pass
