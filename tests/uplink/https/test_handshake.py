"""Permission of a receiver, asked for before the first event."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.contract import NotConnected
from gateway.testkit.posting import Bench, incident, kinds, sent
from gateway.testkit.servers.crm import Answer, Seen, Site, TokenEndpoint
from gateway.uplink.https.config import HttpsOptions

ORIGIN = "lineside.test.acme"


class Asked(Site):
    """Answers OPTIONS with `said`, whatever the status."""

    said: Mapping[str, str] = {}
    status = 200

    async def answer(self, seen: Seen) -> Answer:
        return Answer(self.status, None, self.said) if seen.method == "OPTIONS" else Answer(204)


@pytest.mark.parametrize("permitted", [ORIGIN, "*", "Lineside.Test.Acme"])
@pytest.mark.parametrize("mode", ["structured", "batch"])
async def test_receiver_that_permits_us_gets_events_with_our_origin(bench: Bench, mode: str, permitted: str) -> None:
    async with Asked() as site:
        site.said = {"WebHook-Allowed-Origin": permitted}
        uplink = await bench.uplink(site.url, path="/in", mode=mode, validate_webhook=True)
        assert kinds(await uplink.send([incident(1), incident(2)])) == sent(2)
    asked, *events = site.seen
    assert (asked.method, asked.path, asked.headers["webhook-request-origin"]) == ("OPTIONS", "/in", ORIGIN)
    assert {(seen.method, seen.path, seen.headers["origin"]) for seen in events} == {("POST", "/in", ORIGIN)}


@pytest.mark.parametrize("status", [200, 204, 403, 405])
@pytest.mark.parametrize("said", [{}, {"WebHook-Allowed-Origin": "another.example"}, {"Access-Control-Allow-Origin": "*"}])
async def test_receiver_that_does_not_permit_us_gets_nothing_whatever_its_status(bench: Bench, said: dict[str, str], status: int) -> None:
    async with Asked() as site:
        site.said, site.status = said, status
        with pytest.raises(NotConnected, match=f"does not permit events of {ORIGIN}: OPTIONS was answered {status}"):
            await bench.uplink(site.url, validate_webhook=True)
        assert [seen.method for seen in site.seen] == ["OPTIONS"]


async def test_name_can_be_given_and_the_rate_is_told(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async with Asked() as site:
        site.said = {"WebHook-Allowed-Origin": "edge.acme.example", "WebHook-Allowed-Rate": "120"}
        with caplog.at_level(logging.INFO, "lineside"):
            await bench.uplink(site.url, validate_webhook="edge.acme.example")
    (told,) = [record.fields for record in caplog.records if "permits" in record.getMessage()]  # type: ignore[attr-defined]
    assert (told["origin"], told["requests_a_minute"]) == ("edge.acme.example", "120")


async def test_who_is_not_asked_gets_no_origin(bench: Bench) -> None:
    async with Asked() as site:
        uplink = await bench.uplink(site.url)
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
    assert [(seen.method, "origin" in seen.headers) for seen in site.seen] == [("POST", False)]


async def test_receiver_that_hangs_when_asked_is_told_in_time(bench: Bench) -> None:
    async with Asked() as site:
        site.hang = True
        with pytest.raises(NotConnected, match=r"no answer to OPTIONS within 0\.3 s"):
            await bench.uplink(site.url, validate_webhook=True, timeout="300ms")


async def test_question_carries_the_login(bench: Bench) -> None:
    async with TokenEndpoint() as tokens, Asked(door=tokens.valid) as site:
        site.said = {"WebHook-Allowed-Origin": "*"}
        auth = {"kind": "oauth2_client_credentials", "token_url": tokens.token_url, "client_id": "edge", "client_secret": {"secret": "crm"}}
        uplink = await bench.uplink(site.url, auth=auth, validate_webhook=True)
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        assert tokens.granted == 1
        tokens.client_secret = "another"
        with pytest.raises(NotConnected, match="refuses the login"):
            await bench.uplink(site.url, auth=auth, validate_webhook=True)


@pytest.mark.parametrize("permitted", [ORIGIN, "another.example"])
async def test_examination_says_what_the_receiver_must_answer(bench: Bench, permitted: str) -> None:
    async with Asked() as site:
        site.said = {"WebHook-Allowed-Origin": permitted, "WebHook-Allowed-Rate": "60"}
        steps = await bench.steps(site.url, validate_webhook=True)
    assert [(step.name, step.ok) for step in steps] == [("reach", True), ("login", True), ("permission", permitted == ORIGIN)]
    assert "60" in steps[-1].said or f"WebHook-Allowed-Origin: {ORIGIN}" in steps[-1].remedy


@pytest.mark.parametrize(
    "options", [{"validate_webhook": "crm"}, {"validate_webhook": "a b.c"}, {"validate_webhook": True, "path": "/{{ id }}"}]
)
def test_question_that_cannot_be_asked_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HttpsOptions.model_validate({"https": "https://crm.example.com", **options})
