"""The receivers that tests of the HTTPS uplink rely on answer as the real ones do."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import ssl
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
import standardwebhooks
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.testkit.servers.crm import Dataverse, EventGrid, HubSpot, SapEventMesh, ServiceNow, TokenEndpoint, WebhookInbox
from gateway.testkit.servers.crm.servicenow import basic
from gateway.testkit.servers.crm.site import Site, bearer
from gateway.testkit.servers.pki import Pki
from gateway.testkit.servers.proxy import ConnectProxy
from gateway.testkit.servers.raw import Reply, endless, half_an_answer, raw_server, said, status_and_silence


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def post(http: aiohttp.ClientSession, url: str, **given: Any) -> tuple[int, Any, dict[str, str]]:
    async with http.post(url, **given) as answer:
        is_json = answer.content_type == "application/json"
        return answer.status, await answer.json() if is_json else await answer.text(), dict(answer.headers)


def target(key: str, **fields: Any) -> dict[str, Any]:
    return {"@odata.type": "Microsoft.Dynamics.CRM.incident", "@odata.id": f"incidents(new_key='{key}')", **fields}


async def test_dataverse_takes_all_or_nothing(http: aiohttp.ClientSession) -> None:
    async with Dataverse() as server:
        server.table("incidents").poison.add("b")
        url = f"{server.url}/api/data/v9.2/incidents/Microsoft.Dynamics.CRM.UpsertMultiple"
        status, said_, _ = await post(http, url, json={"Targets": [target("a", title="x"), target("b")]})
        assert (status, said_["error"]["code"]) == (400, "0x80040265")
        assert server.table("incidents").rows == {}
        assert (await post(http, url, json={"Targets": [target("a", title="x")]}))[0] == 204
        assert server.table("incidents").rows == {"a": {"title": "x"}}
        assert (await post(http, url, json={"Targets": [target("a"), target("a")]}))[0] == 400
        server.throttle(7)
        status, _, headers = await post(http, url, json={"Targets": [target("a")]})
        assert (status, headers["Retry-After"]) == (429, "7")


def upsert(key: str, trace: str | None = None, **properties: Any) -> dict[str, Any]:
    return {"id": key, "idProperty": "incident", "properties": properties} | ({"objectWriteTraceId": trace} if trace else {})


async def test_hubspot_tells_failures_beside_the_results(http: aiohttp.ClientSession) -> None:
    async with HubSpot(door=bearer("t0ken")) as server:
        table = server.table("tickets")
        table.columns = {"subject": 10}
        url, headers = f"{server.url}/crm/objects/2026-03/tickets/batch/upsert", {"Authorization": "Bearer t0ken"}
        inputs = [upsert("a", "t1", subject="x"), upsert("b", "t2", subject="y" * 11), upsert("c", "t3", subject="z")]
        status, body, _ = await post(http, url, json={"inputs": inputs}, headers=headers)
        assert status == 207
        assert [each["objectWriteTraceId"] for each in body["results"]] == ["t3", "t1"]
        assert (body["numErrors"], body["errors"][0]["context"]["objectWriteTraceId"]) == (1, ["t2"])
        assert set(table.rows) == {"a", "c"}
        assert (await post(http, url, json={"inputs": [upsert("d", subject="y" * 11), upsert("e", subject="z")]}, headers=headers))[
            0
        ] == 400
        assert set(table.rows) == {"a", "c"}
        assert (await post(http, url, json={"inputs": [upsert(str(n), str(n)) for n in range(101)]}, headers=headers))[0] == 400
        assert (await post(http, url, json={"inputs": inputs}))[0] == 401
        server.throttle("DAILY")
        assert (await post(http, url, json={"inputs": inputs}, headers=headers))[1]["policyName"] == "DAILY"


async def test_servicenow_makes_one_alert_of_a_message_key(http: aiohttp.ClientSession) -> None:
    async with ServiceNow(door=basic("edge", "pw")) as server:
        url, auth = f"{server.url}/api/global/em/jsonv2", {"Authorization": aiohttp.encode_basic_auth("edge", "pw")}
        record = {"message_key": "inc-1", "severity": "3", "additional_info": '{"score":1}', "score": 1}
        status, body, _ = await post(http, url, json={"records": [record, {**record, "severity": "0"}]}, headers=auth)
        assert (status, body) == (200, {"result": {"Default Bulk Endpoint": "2 events were inserted"}})
        assert server.alerts == {
            "inc-1": {"message_key": "inc-1", "severity": "0", "additional_info": '{"score":1}', "count": 2},
        }
        assert (await post(http, url, json={"records": [{**record, "additional_info": {"a": 1}}]}, headers=auth))[0] == 400
        assert (await post(http, url, json={"records": [record]}))[0] == 401


async def test_event_grid_refuses_what_is_too_large_or_no_cloudevent(http: aiohttp.ClientSession) -> None:
    async with EventGrid() as server:
        url = f"{server.url}/api/events?api-version=2018-01-01"
        headers = {"aeg-sas-key": "sas-key", "Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
        event = {"specversion": "1.0", "id": "1", "source": "urn:x", "type": "t", "data": "x"}
        assert (await post(http, url, json=[event], headers=headers))[0] == 200
        assert (await post(http, url, data=io.BytesIO(json.dumps([{**event, "data": "x" * (1 << 20)}]).encode()), headers=headers))[
            0
        ] == 413
        assert (await post(http, url, json=[{**event, "Bad-Name": "x"}], headers=headers))[0] == 400
        assert (await post(http, url, json=[event], headers={**headers, "aeg-sas-key": "no"}))[0] == 401
        assert (await post(http, url, json=[event], headers={**headers, "Content-Type": "application/json"}))[0] == 415
        assert set(server.events) == {"1"}


async def test_sap_wants_quality_of_service_and_an_encoded_topic(http: aiohttp.ClientSession) -> None:
    from yarl import URL

    async with SapEventMesh() as server:
        url = URL(f"{server.url}/messagingrest/v1/topics/acme%2Fedge%2Fraised/messages", encoded=True)
        async with http.post(url, json={"a": 1}) as answer:
            assert answer.status == 400
        async with http.post(url, json={"a": 1}, headers={"x-qos": "1"}) as answer:
            assert answer.status == 204
        assert server.messages == [("acme/edge/raised", {"a": 1})]
        assert (await post(http, f"{server.url}/messagingrest/v1/topics/a/b/messages", json={}, headers={"x-qos": "1"}))[0] == 404


async def test_webhook_believes_what_the_other_implementation_signs(http: aiohttp.ClientSession) -> None:
    from datetime import UTC, datetime

    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
    now = datetime.now(UTC)
    async with WebhookInbox(secret, now=time.time()) as server:
        body = '{"type":"t"}'
        headers = {
            "webhook-id": "ev-1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": "v1,AAAA " + standardwebhooks.Webhook(secret).sign("ev-1", now, body),
        }
        assert (await post(http, server.url, data=body, headers=headers))[0] == 204
        assert (await post(http, server.url, data=body + " ", headers=headers))[0] == 401
        server.now = time.time() + 1000
        assert (await post(http, server.url, data=body, headers=headers))[0] == 401
        assert server.accepted == {"ev-1": {"type": "t"}}


async def test_webhook_believes_ed25519(http: aiohttp.ClientSession) -> None:
    key = Ed25519PrivateKey.generate()
    public = "whpk_" + base64.b64encode(key.public_key().public_bytes_raw()).decode()
    async with WebhookInbox(public) as server:
        for message, status in ((b'ev-1.17.{"a":1}', 204), (b'ev-1.17.{"a":2}', 401)):
            signature = "v1a," + base64.b64encode(key.sign(message)).decode()
            headers = {"webhook-id": "ev-1", "webhook-timestamp": "17", "webhook-signature": signature}
            assert (await post(http, server.url, data='{"a":1}', headers=headers))[0] == status


async def test_token_of_client_credentials_is_valid_until_it_is_revoked(http: aiohttp.ClientSession) -> None:
    async with TokenEndpoint() as tokens, Site(door=tokens.valid) as site:
        form = {"grant_type": "client_credentials", "client_id": "edge", "client_secret": "s3cret"}
        _, granted, _ = await post(http, tokens.token_url, data=form)
        headers = {"Authorization": f"Bearer {granted['access_token']}"}
        assert (await post(http, site.url, headers=headers))[0] == 204
        tokens.revoke()
        assert (await post(http, site.url, headers=headers))[0] == 401
        status, refused, _ = await post(http, tokens.token_url, data=form | {"client_secret": "no"})
        assert (status, refused["error"]) == (400, "invalid_client")


async def test_token_of_an_assertion_goes_by_the_endpoints_own_clock(http: aiohttp.ClientSession) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    async with TokenEndpoint(public_key=public) as tokens:

        async def ask(now: float, key_: Any = key, **claims: Any) -> tuple[int, str]:
            claims = {"iss": "edge", "sub": tokens.user, "aud": tokens.audience, "exp": int(now) + 120, **claims}
            form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": jwt.encode(claims, key_, "RS256")}
            status, _, headers = await post(http, tokens.token_url, data=form)
            return status, headers["Date"]

        assert (await ask(time.time()))[0] == 200
        assert (await ask(time.time(), sub="somebody"))[0] == 400
        assert (await ask(time.time(), rsa.generate_private_key(public_exponent=65537, key_size=2048)))[0] == 400
        tokens.clock_ahead = 3600
        status, date = await ask(time.time())
        assert status == 400
        assert (await ask(parsedate_to_datetime(date).timestamp()))[0] == 200


async def test_script_comes_before_everything(http: aiohttp.ClientSession) -> None:
    from gateway.testkit.servers.crm import Answer

    async with Site(door=lambda _: False) as site:
        site.script.append(Answer(503, b"busy", {"Retry-After": "3"}))
        assert (await post(http, f"{site.url}/a?b=1", data=b"x"))[:2] == (503, "busy")
        assert (await post(http, site.url))[0] == 401
        assert [(seen.method, seen.path, seen.body) for seen in site.seen] == [("POST", "/a?b=1", b"x"), ("POST", "/", b"")]


async def test_proxy_tunnels_to_a_tls_server(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    pki = Pki(tmp_path)
    trust = ssl.create_default_context(cafile=str(pki.ca))
    async with Site(tls=pki.server()) as site, ConnectProxy(login="plant:pw") as proxy:
        login = {"Proxy-Authorization": aiohttp.encode_basic_auth("plant", "pw")}
        async with http.post(site.url, data=b"x", proxy=proxy.url, proxy_headers=login, ssl=trust) as answer:
            assert answer.status == 204
        assert proxy.targets == [f"localhost:{site.port}"]
        with pytest.raises(aiohttp.ClientHttpProxyError) as refused:
            await http.post(site.url, data=b"x", proxy=proxy.url, ssl=trust)
        assert refused.value.status == 407
        assert len(site.seen) == 1


@pytest.mark.parametrize("which", ["good", "expired", "strange", "no client", "strange client", "client"])
async def test_certificates_are_what_they_are_called(tmp_path: Path, http: aiohttp.ClientSession, which: str) -> None:
    pki = Pki(tmp_path)
    trust = ssl.create_default_context(cafile=str(pki.ca))
    if which.endswith("client") and which != "no client":
        certificate, key = pki.client(strange=which.startswith("strange"))
        (tmp_path / "key.pem").write_text(key)
        trust.load_cert_chain(certificate, tmp_path / "key.pem")
    made = {"expired": lambda: pki.server(expired=True), "strange": pki.strange_server, "good": pki.server}
    tls = made.get(which, lambda: pki.server(asks_for_client=True))()
    async with Site(tls=tls) as site:
        if which in ("good", "client"):
            async with http.post(site.url, ssl=trust) as answer:
                assert answer.status == 204
        else:
            with pytest.raises(aiohttp.ClientConnectionError):
                await http.post(site.url, ssl=trust)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (said(b""), aiohttp.ServerDisconnectedError),
        (said(b"\x16\x03garbage\r\n\r\n"), aiohttp.ClientError),
        (half_an_answer(), aiohttp.ClientPayloadError),
        (status_and_silence(), TimeoutError),
    ],
)
async def test_raw_server_breaks_the_rules(http: aiohttp.ClientSession, reply: Reply, error: type[Exception]) -> None:
    async with raw_server(reply) as url:
        with pytest.raises(error):
            async with asyncio.timeout(0.3):
                await post(http, url, data=b"x" * 100_000)


async def test_endless_body_goes_on_as_long_as_it_is_read(http: aiohttp.ClientSession) -> None:
    async with raw_server(endless()) as url, http.post(url, data=b"x") as answer:
        assert answer.status == 200
        assert len(await answer.content.readexactly(5 << 20)) == 5 << 20
        answer.close()
