"""The examination names the step that fails, and what the administrator must change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.testkit.posting import Bench, incident
from gateway.testkit.servers.crm import Answer, HubSpot, Site, TokenEndpoint
from gateway.testkit.servers.crm.site import bearer
from gateway.testkit.servers.pki import Pki
from gateway.testkit.servers.ports import free_port
from gateway.testkit.servers.proxy import ConnectProxy
from gateway.testkit.servers.raw import raw_server, status_and_silence


def client(token_url: str) -> dict[str, Any]:
    return {"kind": "oauth2_client_credentials", "token_url": token_url, "client_id": "edge", "client_secret": {"secret": "crm"}}


async def test_every_step_of_a_receiver_that_is_set_up_goes_well(bench: Bench) -> None:
    check = {"name": "permission", "get": "/describe/{{ vars.object }}", "ok": "createable == true", "remedy": "allow it"}
    async with TokenEndpoint() as tokens, Site(door=tokens.valid) as site:
        site.script.append(Answer(200, {"createable": True}))
        steps = await bench.steps(site.url, incident(1), auth=client(tokens.token_url), checks=[check], vars={"object": "case"}, path="/in")
        assert [(step.name, step.ok) for step in steps] == [("reach", True), ("login", True), ("permission", True), ("delivery", True)]
        assert [(seen.method, seen.path) for seen in site.seen] == [("GET", "/describe/case"), ("POST", "/in")]
        assert site.seen[0].headers["authorization"] == "Bearer token-1"
    assert not [step for step in steps if step.remedy]


async def test_without_an_event_nothing_is_sent(bench: Bench) -> None:
    async with Site() as site:
        steps = await bench.steps(site.url)
        assert [step.name for step in steps] == ["reach", "login"]
        assert site.seen == []


async def test_dead_receiver_ends_it_at_the_first_step(bench: Bench) -> None:
    (step,) = await bench.steps(f"http://127.0.0.1:{free_port()}/", incident(1))
    assert (step.name, step.ok) == ("reach", False)
    assert "connection refused" in step.said
    assert "firewall" in step.remedy


async def test_certificate_is_told_with_what_to_set(bench: Bench, tmp_path: Path) -> None:
    async with Site(tls=Pki(tmp_path).server()) as site:
        (step,) = await bench.steps(site.url)
    assert "certificate refused" in step.said
    assert step.remedy.startswith("set ca to the authority")


async def test_receiver_that_wants_a_certificate_is_told_as_that(bench: Bench, tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    async with Site(tls=pki.server(asks_for_client=True)) as site:
        (step,) = await bench.steps(site.url, ca=str(pki.ca))
    assert "refuses our certificate, or wants one" in step.said
    assert "tls.client_cert" in step.remedy


async def test_proxy_that_refuses_shows_at_the_first_request(bench: Bench) -> None:
    async with ConnectProxy(login="plant:pw") as proxy:
        steps = await bench.steps("https://crm.example.com/", incident(1), proxy=proxy.url)
    assert (steps[-1].name, steps[-1].ok) == ("delivery", False)
    assert "407" in steps[-1].said
    assert "proxy.username" in steps[-1].remedy


async def test_refused_login_says_which_option_is_wrong(bench: Bench) -> None:
    async with TokenEndpoint(client_secret="another") as tokens, Site() as site:
        steps = await bench.steps(site.url, incident(1), auth=client(tokens.token_url))
        assert site.seen == []
    assert (steps[-1].name, steps[-1].ok) == ("login", False)
    assert "auth.client_secret" in steps[-1].remedy


async def test_token_endpoint_that_is_silent_is_told_in_time(bench: Bench) -> None:
    async with raw_server(status_and_silence()) as url, Site() as site:
        steps = await bench.steps(site.url, timeout="200ms", auth=client(f"{url}/token"))
    assert (steps[-1].name, steps[-1].ok) == ("login", False)
    assert "0.2 s" in steps[-1].said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(200, {"hasUniqueValue": False}), "hasUniqueValue == true does not hold"),
        (Answer(403, {"message": "missing scopes"}), "403"),
        (Answer(200, b"<html>"), "it is no JSON"),
    ],
)
async def test_check_of_a_preset_that_fails_has_the_presets_remedy(bench: Bench, answer: Answer, said: str) -> None:
    async with HubSpot(door=bearer("s3cret")) as server:
        server.script.append(answer)
        steps = await bench.steps(server.url, incident(1), preset="hubspot", token={"secret": "crm"})
        assert server.table("tickets").rows == {}
    assert (steps[-1].name, steps[-1].ok) == ("permission", False)
    assert said in steps[-1].said
    assert "scopes" in steps[-1].remedy


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "check auth"),
        (403, "set up at the receiver"),
        (404, "check https, path and mode"),
        (308, "check https, path and mode"),
        (422, "compare body.item"),
        (503, "busy or broken"),
    ],
)
async def test_refused_delivery_says_what_to_do(bench: Bench, status: int, remedy: str) -> None:
    async with Site() as site:
        site.script.append(Answer(status))
        steps = await bench.steps(site.url, incident(1), token={"secret": "crm"})
    assert (steps[-1].name, steps[-1].ok) == ("delivery", False)
    assert str(status) in steps[-1].said
    assert remedy in steps[-1].remedy
