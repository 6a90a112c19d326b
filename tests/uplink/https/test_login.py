"""Who we are: tokens of OAuth with one login, refusals that are not repeated, clocks that are wrong, and the plainer kinds."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway import registry
from gateway.contract import ConfigError, NotConnected
from gateway.testkit.clock import FakeClock
from gateway.testkit.posting import Bench, incident, kinds, sent
from gateway.testkit.servers.crm import Answer, Site, TokenEndpoint
from gateway.testkit.servers.crm.servicenow import basic
from gateway.testkit.servers.ports import free_port
from gateway.testkit.servers.raw import half_an_answer, raw_server, said, status_and_silence
from gateway.uplink.https.answers import LONGEST_WAIT


def client(token_url: str, **more: Any) -> dict[str, Any]:
    auth = {"kind": "oauth2_client_credentials", "token_url": token_url, "client_id": "edge", "client_secret": {"secret": "crm"}}
    return {"auth": {**auth, **more}}


@pytest.fixture(scope="session")
def pair() -> tuple[str, str]:
    """A private key and its public one, PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def bearer_of(tokens: TokenEndpoint, **more: Any) -> dict[str, Any]:
    auth = {"kind": "oauth2_jwt_bearer", "token_url": tokens.token_url, "client_id": "edge", "username": tokens.user}
    return {"auth": {**auth, "audience": tokens.audience, "private_key": {"secret": "key"}, **more}}


@pytest.mark.parametrize("where", ["form", "basic"])
async def test_one_login_serves_all_requests_at_once(bench: Bench, where: str) -> None:
    async with TokenEndpoint() as tokens, Site(door=tokens.valid) as site:
        uplink = await bench.uplink(site.url, concurrency=8, **client(tokens.token_url, client_auth=where, scope="a b"))
        events = [incident(n, machine=f"m-{n}") for n in range(20)]
        assert kinds(await uplink.send(events)) == sent(20)
        assert kinds(await uplink.send(events)) == sent(20)
        assert len(tokens.asked) == 1
        assert tokens.asked[0]["scope"] == "a b"
        assert ("client_secret" in tokens.asked[0]) == (where == "form")


async def test_token_that_ends_early_is_replaced_once_and_the_same_request_goes_again(bench: Bench) -> None:
    async with TokenEndpoint() as tokens, Site(door=tokens.valid) as site:
        uplink = await bench.uplink(site.url, concurrency=8, **client(tokens.token_url))
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        tokens.revoke()
        site.seen.clear()
        assert kinds(await uplink.send([incident(n, machine=f"m-{n}") for n in range(8)])) == sent(8)
        assert tokens.granted == 2
        assert {seen.headers["authorization"] for seen in site.seen} == {"Bearer token-1", "Bearer token-2"}
        bodies = [seen.body for seen in site.seen if seen.headers["authorization"] == "Bearer token-2"]
        assert len(set(bodies)) == len(bodies) == 8


async def test_second_refusal_is_held_for_a_quarter_of_an_hour(bench: Bench) -> None:
    async with TokenEndpoint() as tokens, Site(door=lambda _: False) as site:
        uplink = await bench.uplink(site.url, **client(tokens.token_url))
        outcomes = await uplink.send([incident(1), incident(2)])
    assert [(o.kind.value, o.after_seconds) for o in outcomes] == [("hold", 900.0)] * 2
    assert "refuses a new token too" in outcomes[0].reason
    assert (tokens.granted, len(site.seen)) == (2, 2)


async def test_refused_login_is_held_and_not_tried_again(bench: Bench) -> None:
    clock = bench.clock = FakeClock()
    async with TokenEndpoint(client_secret="another") as tokens, Site() as site:
        uplink = await bench.uplink(site.url, concurrency=8, **client(tokens.token_url))
        for _ in range(3):
            outcomes = await uplink.send([incident(n, machine=f"m-{n}") for n in range(8)])
            assert {(o.kind.value, o.after_seconds) for o in outcomes} == {("hold", 900.0)}
        assert "invalid_client: client authentication failed" in outcomes[0].reason
        assert "s3cret" not in outcomes[0].reason
        assert (len(tokens.asked), site.seen) == (1, [])
        tokens.client_secret = "s3cret"
        await clock.advance(901)
        assert kinds(await uplink.send([incident(1)])) == ["sent"]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_token_endpoint_that_is_busy_is_not_connected(bench: Bench, status: int) -> None:
    async with TokenEndpoint() as tokens, Site() as site:
        tokens.script.append(Answer(status, {"error": "temporarily_unavailable"}))
        uplink = await bench.uplink(site.url, **client(tokens.token_url))
        with pytest.raises(NotConnected, match=f"token endpoint answers {status}"):
            await uplink.send([incident(1)])
        assert kinds(await uplink.send([incident(1)])) == ["sent"]


@pytest.mark.parametrize(
    ("header", "seconds"), [("120", 120.0), ("Fri, 15 Jan 2027 08:05:00 GMT", 300.0), ("864000", LONGEST_WAIT), ("2", 2.0)]
)
async def test_token_endpoint_that_says_when_is_not_asked_before(bench: Bench, header: str, seconds: float) -> None:
    clock = bench.clock = FakeClock()
    async with TokenEndpoint() as tokens, Site(door=tokens.valid) as site:
        tokens.script.append(Answer(429, {"error": "slow_down"}, {"Retry-After": header, "Date": "Fri, 15 Jan 2027 08:00:00 GMT"}))
        uplink = await bench.uplink(site.url, **client(tokens.token_url))
        (outcome,) = await uplink.send([incident(1)])
        assert (outcome.kind.value, outcome.after_seconds) == ("hold", seconds)
        assert "slow_down" in outcome.reason
        await clock.advance(seconds - 1)
        (outcome,) = await uplink.send([incident(1)])
        assert (outcome.kind.value, outcome.after_seconds, len(tokens.seen)) == ("hold", 1.0, 1)
        await clock.advance(1)
        assert kinds(await uplink.send([incident(1)])) == ["sent"]


@pytest.mark.parametrize(("header", "seconds"), [("5", 900.0), ("3600", 3600.0)])
async def test_refusal_that_says_when_is_left_alone_as_long_but_no_shorter_than_any_other(
    bench: Bench, header: str, seconds: float
) -> None:
    async with TokenEndpoint() as tokens, Site() as site:
        tokens.script.append(Answer(400, {"error": "invalid_client"}, {"Retry-After": header}))
        uplink = await bench.uplink(site.url, **client(tokens.token_url))
        (outcome,) = await uplink.send([incident(1)])
        assert (outcome.kind.value, outcome.after_seconds) == ("hold", seconds)


async def test_refused_login_is_not_repeated_by_who_connects_anew_nor_by_who_brings_verdicts(bench: Bench) -> None:
    clock = bench.clock = FakeClock()
    plugin, context = registry.uplink("https"), bench.context()
    async with TokenEndpoint(client_secret="another") as tokens:
        asking = {"soql": "/services/data/v66.0", "every": "10s"}
        options = plugin.options.model_validate({"https": tokens.url, "timeout": "2s", "feedback": asking, **client("/token")})
        uplink, verdicts = plugin.build(options, context), plugin.feedback(options, context)
        assert verdicts is not None
        for _ in range(3):
            await verdicts.connect()
            with pytest.raises(NotConnected, match="refuses the login"):
                await verdicts.read()
            await verdicts.close()
            await uplink.connect()
            assert kinds(await uplink.send([incident(1)])) == ["hold"]
            await uplink.close()
            await clock.advance(60)
        assert len(tokens.asked) == 1


async def test_sending_and_bringing_verdicts_share_one_login(bench: Bench) -> None:
    plugin, context = registry.uplink("https"), bench.context()
    async with TokenEndpoint() as tokens, Site(door=tokens.valid) as site:
        given = {"feedback": {"soql": "/services/data/v66.0"}, **client(tokens.token_url)}
        options = plugin.options.model_validate({"https": site.url, "timeout": "2s", **given})
        uplink, verdicts = plugin.build(options, context), plugin.feedback(options, context)
        assert verdicts is not None
        await uplink.connect()
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        await verdicts.connect()
        with pytest.raises(NotConnected, match="it is no JSON"):
            await verdicts.read()
        await verdicts.close()
        assert kinds(await uplink.send([incident(2)])) == ["sent"]
        await uplink.close()
        assert (len(tokens.asked), len(site.seen)) == (1, 3)


@pytest.mark.parametrize("mode", ["structured", "batch"])
async def test_what_was_refused_for_its_token_cannot_have_been_taken_when_the_new_login_hangs(bench: Bench, mode: str) -> None:
    async with TokenEndpoint() as tokens, Site(door=tokens.valid) as site:
        uplink = await bench.uplink(site.url, mode=mode, timeout="1s", **client(tokens.token_url))
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        tokens.revoke()
        tokens.hang = True
        outcomes = await uplink.send([incident(n) for n in range(3)])
        assert [(o.kind.value, o.unknown) for o in outcomes] == [("retry", False)] * 3
        tokens.resume()
        assert kinds(await uplink.send([incident(1)])) == ["sent"]


@pytest.mark.parametrize("mode", ["structured", "batch"])
async def test_secret_that_is_gone_is_told_as_such(bench: Bench, mode: str) -> None:
    async with TokenEndpoint() as tokens, Site() as site:
        uplink = await bench.uplink(site.url, mode=mode, **client(tokens.token_url))
        bench.secrets.clear()
        with pytest.raises(ConfigError, match="secret crm is not there"):
            await uplink.send([incident(n, machine=f"m-{n}") for n in range(5)])


async def test_token_endpoint_that_is_down_is_not_connected(bench: Bench) -> None:
    async with Site() as site:
        uplink = await bench.uplink(site.url, **client(f"http://127.0.0.1:{free_port()}/token"))
        with pytest.raises(NotConnected, match="connection refused"):
            await uplink.send([incident(1)])


@pytest.mark.parametrize("reply", [said(b""), said(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot json!"), half_an_answer()])
async def test_token_endpoint_that_makes_no_sense_is_not_connected(bench: Bench, reply: Any) -> None:
    async with raw_server(reply) as url, Site() as site:
        uplink = await bench.uplink(site.url, **client(f"{url}/token"))
        with pytest.raises(NotConnected, match="token endpoint"):
            await uplink.send([incident(1)])
        assert site.seen == []


async def test_token_endpoint_that_hangs_is_a_retry_in_time(bench: Bench) -> None:
    async with raw_server(status_and_silence()) as url, Site() as site:
        uplink = await bench.uplink(site.url, timeout="200ms", **client(f"{url}/token"))
        async with asyncio.timeout(1):
            outcomes = await uplink.send([incident(1)])
    assert kinds(outcomes) == ["retry"]


async def test_token_is_renewed_before_it_ends(bench: Bench) -> None:
    clock = bench.clock = FakeClock()
    async with TokenEndpoint() as tokens, Site(door=tokens.valid) as site:
        tokens.fields = {"expires_in": 3600}
        uplink = await bench.uplink(site.url, **client(tokens.token_url))
        for seconds, granted in ((0, 1), (3500, 1), (45, 2)):
            await clock.advance(seconds)
            assert kinds(await uplink.send([incident(1)])) == ["sent"]
            assert tokens.granted == granted


async def test_life_of_a_token_that_does_not_say_it_is_ours_to_choose(bench: Bench) -> None:
    clock = bench.clock = FakeClock()
    async with TokenEndpoint() as tokens, Site(door=tokens.valid) as site:
        uplink = await bench.uplink(site.url, **client(tokens.token_url, token_ttl="10m"))
        for seconds, granted in ((0, 1), (500, 1), (60, 2)):
            await clock.advance(seconds)
            await uplink.send([incident(1)])
            assert tokens.granted == granted


async def test_answer_of_the_login_says_where_to_send(bench: Bench) -> None:
    async with TokenEndpoint() as tokens, Site(door=tokens.valid) as elsewhere:
        tokens.fields = {"instance_url": elsewhere.url}
        uplink = await bench.uplink(tokens.url, path="/in", **client("/token", base_from="instance_url"))
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        assert [seen.path for seen in elsewhere.seen] == ["/in"]


@pytest.mark.parametrize("status", [None, 0, 301, 404])
async def test_where_to_send_is_asked_anew_when_nobody_takes_it_there_any_more(bench: Bench, status: int | None) -> None:
    """An org that moved to another instance; not while the login is young: it would be one for each attempt."""
    clock = bench.clock = FakeClock()
    async with TokenEndpoint() as tokens, Site(door=tokens.valid) as before, Site(door=tokens.valid) as after:
        tokens.fields = {"instance_url": before.url}
        uplink = await bench.uplink(tokens.url, path="/in", timeout="200ms", **client("/token", base_from="instance_url"))
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        tokens.fields = {"instance_url": after.url}
        if status is None:
            await before.stop()
        elif not status:
            before.hang = True
        else:
            before.script.extend([Answer(status)] * 2)
        for seconds in (60, 300):
            await clock.advance(seconds)
            with suppress(NotConnected):
                assert kinds(await uplink.send([incident(1)])) != ["sent"]
            assert tokens.granted == 1
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        assert (tokens.granted, len(after.seen)) == (2, 1)


async def test_answer_of_the_login_cannot_send_us_where_nothing_is_encrypted(bench: Bench) -> None:
    async with TokenEndpoint() as tokens:
        tokens.fields = {"instance_url": "http://10.0.0.5/"}
        uplink = await bench.uplink(tokens.url, **client("/token", base_from="instance_url"))
        with pytest.raises(NotConnected, match="not encrypted"):
            await uplink.send([incident(1)])


async def test_assertion_is_signed_with_the_key(bench: Bench, pair: tuple[str, str]) -> None:
    bench.secrets["key"] = pair[0]
    async with TokenEndpoint(public_key=pair[1]) as tokens, Site(door=tokens.valid) as site:
        uplink = await bench.uplink(site.url, **bearer_of(tokens))
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
    assert pair[0] not in str(tokens.asked)


@pytest.mark.parametrize("ahead", [7200.0, -86400.0])
async def test_wrong_clock_is_found_by_the_date_of_the_refusal(
    bench: Bench, pair: tuple[str, str], ahead: float, caplog: pytest.LogCaptureFixture
) -> None:
    bench.secrets["key"] = pair[0]
    async with TokenEndpoint(public_key=pair[1]) as tokens, Site(door=tokens.valid) as site:
        tokens.clock_ahead = ahead
        uplink = await bench.uplink(site.url, **bearer_of(tokens))
        with caplog.at_level(logging.WARNING, "lineside"):
            assert kinds(await uplink.send([incident(1)])) == ["sent"]
            tokens.revoke()
            assert kinds(await uplink.send([incident(1)])) == ["sent"]
    assert (len(tokens.asked), tokens.granted) == (3, 2)
    (told,) = [record for record in caplog.records if "clock skew" in record.getMessage()]
    assert abs(told.fields["clock_behind_seconds"] - ahead) <= 2  # type: ignore[attr-defined]


async def test_refusal_that_is_not_the_clocks_is_asked_once(bench: Bench, pair: tuple[str, str]) -> None:
    bench.secrets["key"] = pair[0]
    async with TokenEndpoint(public_key=pair[1]) as tokens, Site() as site:
        uplink = await bench.uplink(site.url, **bearer_of(tokens, username="somebody@acme.example"))
        (outcome,) = await uplink.send([incident(1)])
    assert outcome.kind.value == "hold"
    assert "invalid_grant: user hasn't approved this consumer" in outcome.reason
    assert len(tokens.asked) == 1


async def test_key_that_is_none_is_told_without_a_letter_of_it(bench: Bench) -> None:
    bench.secrets["key"] = "hunter2-is-no-key"
    async with TokenEndpoint() as tokens, Site() as site:
        uplink = await bench.uplink(site.url, **bearer_of(tokens))
        (outcome,) = await uplink.send([incident(1)])
    assert outcome.kind.value == "hold"
    assert "secret key is no private key in PEM" in outcome.reason
    assert "hunter2" not in outcome.reason


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"kind": "bearer", "token": {"secret": "crm"}}, "authorization", "Bearer s3cret"),
        ({"kind": "header_key", "header": "X-Api-Key", "token": {"secret": "crm"}}, "x-api-key", "s3cret"),
        ({"kind": "none"}, "authorization", None),
    ],
)
async def test_plain_kinds_send_their_header(bench: Bench, auth: dict[str, Any], header: str, value: str | None) -> None:
    async with Site() as site:
        uplink = await bench.uplink(site.url, auth=auth)
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        assert site.seen[0].headers.get(header) == value


async def test_secret_of_a_user_that_holds_the_password_too_is_told(bench: Bench) -> None:
    """It was an error of the program, of which the breaker, and so the fallback, heard nothing."""
    bench.secrets["user"] = "plant:s3cret"
    auth = {"kind": "basic", "username": {"secret": "user"}, "password": {"secret": "crm"}}
    with pytest.raises(NotConnected, match=r"the secret of auth\.username is no user name: a colon") as refused:
        await bench.uplink("https://localhost:1", auth=auth)
    assert "s3cret" not in str(refused.value)


async def test_basic_takes_a_user_in_any_script(bench: Bench) -> None:
    async with Site(door=basic("müller", "s3cret")) as site:
        uplink = await bench.uplink(site.url, auth={"kind": "basic", "username": "müller", "password": {"secret": "crm"}})
        assert kinds(await uplink.send([incident(1)])) == ["sent"]


async def test_secret_that_is_no_line_of_text_is_told_at_once(bench: Bench) -> None:
    bench.secrets["crm"] = "two\r\nlines: here"
    async with Site() as site:
        with pytest.raises(NotConnected, match="secret crm cannot stand in a header"):
            await bench.uplink(site.url, token={"secret": "crm"})
