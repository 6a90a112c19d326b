"""Certificates, proxies, names that are not known, and answers that break the rules."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import NotConnected
from gateway.testkit.posting import Bench, incident, kinds
from gateway.testkit.servers.crm import Answer, Site
from gateway.testkit.servers.pki import Pki
from gateway.testkit.servers.proxy import ConnectProxy
from gateway.testkit.servers.raw import Reply, endless, half_an_answer, raw_server, said, status_and_silence
from gateway.uplink.https.outward import proxy_for

PER_ITEM = {"body": {"form": "array"}, "result": {"per_item": {"ok": "success == true", "code": "code"}}}


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


@pytest.fixture(autouse=True)
def no_proxy_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_expired_certificate_is_named(bench: Bench, pki: Pki) -> None:
    async with Site(tls=pki.server(expired=True)) as site:
        with pytest.raises(NotConnected, match="certificate refused: certificate has expired"):
            await bench.uplink(site.url, ca=str(pki.ca))
        assert site.seen == []


async def test_certificate_that_nobody_vouches_for_is_refused(bench: Bench, pki: Pki) -> None:
    async with Site(tls=pki.strange_server()) as site:
        with pytest.raises(NotConnected, match="certificate refused: unable to get local issuer"):
            await bench.uplink(site.url, tls={"ca": str(pki.ca)})


async def test_certificate_that_expires_between_two_requests_is_not_connected(bench: Bench, pki: Pki) -> None:
    good, bad = Site(tls=pki.server()), Site(tls=pki.server(expired=True))
    bad.port = good.port
    await good.start()
    uplink = await bench.uplink(good.url, ca=str(pki.ca))
    assert kinds(await uplink.send([incident(1)])) == ["sent"]
    await good.stop()
    async with bad:
        with pytest.raises(NotConnected, match="certificate refused"):
            await uplink.send([incident(2)])


async def test_client_certificate_opens_the_door(bench: Bench, pki: Pki) -> None:
    certificate, bench.secrets["key"] = pki.client()
    tls = {"ca": str(pki.ca), "client_cert": str(certificate), "client_key": {"secret": "key"}, "min": "1.3"}
    async with Site(tls=pki.server(asks_for_client=True)) as site:
        uplink = await bench.uplink(site.url, tls=tls, auth={"kind": "mtls"})
        assert kinds(await uplink.send([incident(1)])) == ["sent"]


async def test_certificate_that_was_renewed_on_disk_is_shown_with_the_next_request(bench: Bench, pki: Pki) -> None:
    certificate, bench.secrets["key"] = pki.client()
    tls = {"ca": str(pki.ca), "client_cert": str(certificate), "client_key": {"secret": "key"}}
    async with Site(tls=pki.server(asks_for_client=True)) as site:
        uplink = await bench.uplink(site.url, tls=tls, auth={"kind": "mtls"})
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        strange, bench.secrets["key"] = pki.client(strange=True)
        certificate.write_bytes(strange.read_bytes())
        os.utime(certificate, ns=(1, 1))
        assert kinds(await uplink.send([incident(2)])) == ["retry"]  # a stranger's is not taken
        certificate, bench.secrets["key"] = pki.client()
        assert kinds(await uplink.send([incident(2)])) == ["sent"]


@pytest.mark.parametrize("strange", [True, False])
async def test_client_without_the_right_certificate_is_told_so(bench: Bench, pki: Pki, strange: bool) -> None:
    tls: dict[str, Any] = {"ca": str(pki.ca)}
    if strange:
        certificate, bench.secrets["key"] = pki.client(strange=True)
        tls |= {"client_cert": str(certificate), "client_key": {"secret": "key"}}
    async with Site(tls=pki.server(asks_for_client=True)) as site:
        with pytest.raises(NotConnected, match="refuses our certificate, or wants one"):
            await bench.uplink(site.url, tls=tls)
        assert site.seen == []


async def test_key_that_does_not_fit_the_certificate_is_told_without_a_letter_of_it(bench: Bench, pki: Pki) -> None:
    certificate, _ = pki.client()
    _, bench.secrets["key"] = pki.client("another")
    tls = {"client_cert": str(certificate), "client_key": {"secret": "key"}}
    with pytest.raises(NotConnected, match="they do not belong together") as refused:
        await bench.uplink("https://localhost:1", tls=tls)
    assert "PRIVATE" not in str(refused.value)


async def test_name_that_is_not_known_is_not_connected(bench: Bench) -> None:
    with pytest.raises(NotConnected, match=r"(?i)name|address|resol"):
        await bench.uplink("https://crm.invalid/")


async def test_proxy_of_the_options_is_taken_with_its_login(bench: Bench, pki: Pki) -> None:
    async with Site(tls=pki.server()) as site, ConnectProxy(login="plant:s3cret") as proxy:
        given = {"url": proxy.url, "username": "plant", "password": {"secret": "crm"}}
        uplink = await bench.uplink(site.url, ca=str(pki.ca), proxy=given, token={"secret": "crm"})
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        assert proxy.targets == [f"localhost:{site.port}"]
        assert "proxy-authorization" not in site.seen[0].headers


@pytest.mark.parametrize("refuse", [403, 407, 502])
async def test_proxy_that_refuses_is_not_connected(bench: Bench, pki: Pki, refuse: int) -> None:
    async with Site(tls=pki.server()) as site, ConnectProxy() as proxy:
        proxy.refuse = refuse
        uplink = await bench.uplink(site.url, ca=str(pki.ca), proxy=proxy.url)
        with pytest.raises(NotConnected, match=rf"proxy 127\.0\.0\.1:\d+: refuses the way to localhost:\d+: {refuse}"):
            await uplink.send([incident(1)])
        assert site.seen == []


async def test_what_a_proxy_says_in_another_script_can_be_written_down(bench: Bench) -> None:
    """In Latin-1, as some of them do: why nothing goes out could not be noted, so no fallback took over."""
    reason = "HTTP/1.1 407 Berechtigung für den Proxy nötig\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    async with raw_server(said(reason)) as proxy:
        uplink = await bench.uplink("https://crm.invalid/", proxy=proxy)
        with pytest.raises(NotConnected, match=r"407 Berechtigung f.+r den Proxy") as refused:
            await uplink.send([incident(1)])
    assert str(refused.value).encode()


async def test_proxy_that_is_not_there_is_named(bench: Bench) -> None:
    with pytest.raises(NotConnected, match="proxy localhost:1: connection refused"):
        await bench.uplink("https://crm.invalid/", proxy="http://localhost:1")


@pytest.mark.parametrize(("url", "port"), [("https://localhost", 443), ("http://localhost/", 80), ("https://localhost:1", 1)])
async def test_proxy_without_a_port_is_at_the_one_of_its_scheme(bench: Bench, monkeypatch: pytest.MonkeyPatch, url: str, port: int) -> None:
    """Who may listen there is root, so it is seen where we knock."""
    knocked: list[Any] = []

    async def refuse(host: str, at: int, **_: Any) -> Any:
        knocked.append(at)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(asyncio, "open_connection", refuse)
    with pytest.raises(NotConnected, match=f"proxy localhost:{port}: connection refused"):
        await bench.uplink("https://crm.invalid/", proxy=url)
    assert knocked == [port]


async def test_proxy_of_the_environment_is_taken_for_others_than_this_machine(
    bench: Bench, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Site(tls=pki.server()) as site, ConnectProxy(login="plant:p@w") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//plant:p%40w@"))
        here = await bench.uplink(site.url, ca=str(pki.ca))
        assert kinds(await here.send([incident(1)])) == ["sent"]
        assert proxy.targets == []
        there = await bench.uplink("https://crm.invalid/", ca=str(pki.ca))
        with pytest.raises(NotConnected):
            await there.send([incident(1)])
        assert proxy.targets == ["crm.invalid:443"]
        with pytest.raises(NotConnected, match=r"https://crm\.invalid"):
            await bench.uplink("https://crm.invalid/", proxy="off")
        monkeypatch.setenv("NO_PROXY", ".invalid")
        with pytest.raises(NotConnected, match=r"https://crm\.invalid"):
            await bench.uplink("https://crm.invalid/")
        assert len(proxy.targets) == 1


@pytest.mark.parametrize(
    "given", ["http://proxy:port", "http://plant:pa/ss@proxy:3128", "http://[::1", "socks5://proxy:1080", "http://a..b:3128"]
)
async def test_proxy_of_the_environment_that_is_none_is_not_connected(bench: Bench, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """It was an error of the program, of which the breaker, and so the fallback, heard nothing."""
    monkeypatch.setenv("https_proxy", given)
    with pytest.raises(NotConnected, match="no way out: https_proxy of the environment is no http://host:port") as refused:
        await bench.uplink("https://crm.invalid/")
    assert "plant" not in str(refused.value)


async def test_proxy_of_the_environment_with_a_user_that_none_can_be(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://plant%3Aa:b@proxy:3128")
    with pytest.raises(NotConnected, match="no way out"):
        await bench.uplink("https://crm.invalid/")


@pytest.mark.parametrize(
    ("names", "straight"),
    [
        ("10.0.0.0/8", ["https://10.1.2.3/", "https://10.9.9.9:8443/"]),
        ("localhost, fd00::/8 ,192.168.7.9", ["https://[fd00::7]/", "https://192.168.7.9:8443/"]),
        ("192.168.7.9:8443,crm.example:443", ["https://192.168.7.9:8443/", "https://crm.example/"]),
        ("*", ["https://10.1.2.3/", "https://[fd00::7]:1/", "https://192.168.7.9:8443/", "https://10.9.9.9:8443/", "https://crm.example/"]),
    ],
)
def test_no_proxy_takes_nets_and_ports_as_other_programs_do(monkeypatch: pytest.MonkeyPatch, names: str, straight: list[str]) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", names)
    urls = ["https://10.1.2.3/", "https://10.9.9.9:8443/", "https://[fd00::7]/", "https://[fd00::7]:1/", "https://192.168.7.9:8443/"]
    found = {url for url in [*urls, "https://crm.example/", "https://crm.example:8443/"] if proxy_for(url, None, str) is None}
    assert found >= set(straight)
    assert ("https://crm.example:8443/" in found) is (names == "*")
    assert ("https://10.1.2.3/" in found) is ("https://10.1.2.3/" in straight)


@pytest.fixture(params=["garbage", "half", "endless", "silence", "hung up"])
async def broken(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A receiver that says 200, or nothing, and then breaks the rules."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"
    replies: dict[str, Reply] = {
        "garbage": said(head + b"<html></html"),
        "half": half_an_answer(),
        "endless": endless(),
        "silence": status_and_silence(),
        "hung up": said(b""),
    }
    async with raw_server(replies[request.param]) as url:
        yield url


async def test_answer_that_should_say_more_and_does_not_leaves_it_unknown(bench: Bench, broken: str) -> None:
    uplink = await bench.uplink(broken, timeout="700ms", **PER_ITEM)
    async with asyncio.timeout(3):
        outcomes = await uplink.send([incident(1), incident(2)])
    assert [(o.kind.value, o.unknown) for o in outcomes] == [("retry", True)] * 2


@pytest.mark.parametrize("reply", [endless(), status_and_silence()])
async def test_where_the_status_is_all_that_counts_the_rest_is_not_waited_for(bench: Bench, reply: Reply) -> None:
    async with raw_server(reply) as url:
        uplink = await bench.uplink(url, timeout="5s")
        assert kinds(await uplink.send([incident(1)])) == ["sent"]


async def test_an_answer_in_which_the_connection_breaks_is_none(bench: Bench) -> None:
    async with raw_server(half_an_answer()) as url:
        uplink = await bench.uplink(url)
        (outcome,) = await uplink.send([incident(1)])
    assert (outcome.kind.value, outcome.unknown) == ("retry", True)
    assert "breaks off" in outcome.reason


@pytest.mark.parametrize("reply", [half_an_answer("422 No"), endless("422 No", b"x" * 65536)])
async def test_refusal_whose_reason_breaks_off_is_a_refusal_all_the_same(bench: Bench, reply: Reply) -> None:
    async with raw_server(reply) as url:
        uplink = await bench.uplink(url)
        (outcome,) = await uplink.send([incident(1)])
    assert (outcome.kind.value, outcome.code) == ("park", "422")
    assert len(outcome.reason) < 300


@pytest.mark.parametrize("document", [[], [{"success": True}], {"success": True}, "yes", None, [{"success": True}] * 3])
async def test_wrong_number_of_results_leaves_all_unknown(bench: Bench, document: Any) -> None:
    async with Site() as site:
        site.script.append(Answer(200, document if document is not None else b"null"))
        uplink = await bench.uplink(site.url, **PER_ITEM)
        outcomes = await uplink.send([incident(1), incident(2)])
    assert [(o.kind.value, o.unknown) for o in outcomes] == [("retry", True)] * 2


@pytest.mark.parametrize(("status", "where"), [(302, "https://elsewhere.example/"), (307, "/other"), (308, "//elsewhere"), (300, "")])
async def test_redirect_is_held_and_never_followed(bench: Bench, status: int, where: str) -> None:
    async with Site() as site:
        site.script.append(Answer(status, None, {"Location": where}))
        uplink = await bench.uplink(site.url, token={"secret": "crm"})
        (outcome,) = await uplink.send([incident(1)])
        assert outcome.kind.value == "hold"
        assert len(site.seen) == 1


async def test_body_beyond_a_megabyte_is_sent(bench: Bench) -> None:
    async with Site() as site:
        uplink = await bench.uplink(site.url, mode="batch")
        assert kinds(await uplink.send([incident(1, title="x" * 2_000_000)])) == ["sent"]
        assert len(site.seen[0].body) > 2_000_000
