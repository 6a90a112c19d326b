"""The emulator, proved with a client that others wrote (simple-salesforce), over TLS and in threads of its own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce as Client
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceGeneralError,
    SalesforceMalformedRequest,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

from gateway.testkit.servers.salesforce import App, Salesforce

USER = "gateway@acme.example"
EVENT = {"Event_Id__c": "inc-1-0001", "Alarm_Id__c": "inc-1", "Title__c": "too hot", "Severity__c": 13}


class Here(HTTPAdapter):
    """The client insists on ``*.salesforce.com``; this takes its requests to the emulator."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        request.url = self._url + request.url.removeprefix("https://acme.my.salesforce.com")
        return super().send(request, *args, **kwargs)


@pytest.fixture
async def cloud(pair: Any) -> AsyncIterator[Salesforce]:
    async with Salesforce(tls=True, app=App(certificate=pair.certificate)) as server:
        server.logins.names.add("https://acme.my.salesforce.com")
        yield server


@pytest.fixture
async def connect(cloud: Salesforce, pair: Any) -> AsyncIterator[Callable[..., Any]]:
    """``await connect(**credentials)``: the client, logged in; by default with the key."""
    sessions = []

    async def log_in(**given: Any) -> Client:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(cloud.ca)
        session.mount("https://acme.my.salesforce.com", Here(cloud.url))
        sessions.append(session)
        credentials = given or {"username": USER, "consumer_key": "3MVG9.app", "privatekey": pair.key}
        return await asyncio.to_thread(lambda: Client(domain="acme.my", session=session, version="66.0", **credentials))

    yield log_in
    for session in sessions:
        session.close()


Connect = Callable[..., Any]


def bulk(client: Client, records: list[dict[str, Any]], *, path: str = "composite/sobjects", method: str = "POST") -> Any:
    return client.restful(path, method=method, json={"allOrNone": False, "records": records})


def event(number: int, type_: str = "Gateway_Event__e", **more: Any) -> dict[str, Any]:
    return {"attributes": {"type": type_}, **EVENT, "Event_Id__c": f"ev-{number}", **more}


async def test_client_logs_in_with_a_key_and_publishes(cloud: Salesforce, connect: Connect) -> None:
    client = await connect()
    result = await asyncio.to_thread(client.Gateway_Event__e.create, EVENT)
    assert result["success"] is True
    assert [error["statusCode"] for error in result["errors"]] == ["OPERATION_ENQUEUED"]
    assert result["errors"][0]["message"] == cloud.events[0]["EventUuid"]
    assert cloud.events[0]["Title__c"] == "too hot"
    await asyncio.to_thread(client.limits)
    assert client.api_usage["api-usage"].used == 2


async def test_client_logs_in_with_a_secret(cloud: Salesforce, connect: Connect) -> None:
    client = await connect(consumer_key="3MVG9.app", consumer_secret="s3cret")
    assert (await asyncio.to_thread(client.limits))["DailyApiRequests"] == {"Max": 100_000, "Remaining": 99_999}


async def test_wrong_secret_and_foreign_key_are_refused(connect: Connect) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    with pytest.raises(SalesforceAuthenticationFailed, match="invalid client credentials"):
        await connect(consumer_key="3MVG9.app", consumer_secret="guess")
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(SalesforceAuthenticationFailed, match="invalid assertion"):
        await connect(username=USER, consumer_key="3MVG9.app", privatekey=other.decode())
    with pytest.raises(SalesforceAuthenticationFailed, match="client identifier invalid"):
        await connect(consumer_key="other", consumer_secret="s3cret")


@pytest.mark.parametrize(
    ("claims", "description"),
    [
        ({"aud": "https://evil.example"}, "audience is invalid"),
        ({"exp": -10}, "expired authorization code"),
        ({"exp": 3000}, "invalid assertion"),
        ({"sub": "nobody@acme.example"}, "user hasn't approved this consumer"),
        ({"iss": "other"}, "client identifier invalid"),
    ],
)
async def test_assertion_is_checked_claim_by_claim(org: Salesforce, pair: Any, claims: dict[str, Any], description: str) -> None:
    good = {"iss": "3MVG9.app", "sub": USER, "aud": "https://login.salesforce.com", "exp": int(time.time()) + 120}
    if "exp" in claims:
        claims = claims | {"exp": int(time.time()) + claims["exp"]}
    assert description in (await ask(org, jwt.encode(good | claims, pair.key, algorithm="RS256")))["error_description"]
    assert "access_token" in await ask(org, jwt.encode(good, pair.key, algorithm="RS256"))


async def test_forged_algorithms_are_refused(org: Salesforce, pair: Any) -> None:
    claims = {"iss": "3MVG9.app", "sub": USER, "aud": "https://login.salesforce.com", "exp": int(time.time()) + 120}
    assert "invalid assertion" in (await ask(org, jwt.encode(claims, "", algorithm="none")))["error_description"]
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)
    )
    mac = hmac.new(pair.certificate.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    forged = f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    assert "invalid assertion" in (await ask(org, forged))["error_description"]


async def ask(org: Salesforce, assertion: str) -> dict[str, Any]:
    import aiohttp

    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    async with aiohttp.ClientSession() as session, session.post(f"{org.url}/services/oauth2/token", data=form) as answer:
        said: dict[str, Any] = await answer.json()
        assert answer.status == (200 if "access_token" in said else 400)
        return said


async def test_collection_answers_per_record_in_order(cloud: Salesforce, connect: Connect) -> None:
    cloud.limits.events_most = 1
    client = await connect()
    records = [event(1), event(2, Event_Id__c=None), event(3, Title__c="x" * 256), event(4, Colour__c="red"), event(5)]
    results = await asyncio.to_thread(bulk, client, records)
    codes = [result["errors"][0]["statusCode"] for result in results]
    assert codes == ["OPERATION_ENQUEUED", "REQUIRED_FIELD_MISSING", "STRING_TOO_LONG", "INVALID_FIELD", "LIMIT_EXCEEDED"]
    assert [result["success"] for result in results] == [True, False, False, False, False]
    assert results[1]["errors"][0]["fields"] == ["Event_Id__c"]
    assert [e["Event_Id__c"] for e in cloud.events] == ["ev-1"]


async def test_collection_takes_200_records_and_ten_chunks(cloud: Salesforce, connect: Connect) -> None:
    client = await connect()
    assert len(await asyncio.to_thread(bulk, client, [event(i) for i in range(200)])) == 200
    with pytest.raises(SalesforceMalformedRequest, match="record limit reached"):
        await asyncio.to_thread(bulk, client, [event(i) for i in range(201)])
    case = {"attributes": {"type": "Case"}, "Subject": "x"}
    await asyncio.to_thread(bulk, client, [event(1), case] * 5)
    with pytest.raises(SalesforceMalformedRequest, match="chunks"):
        await asyncio.to_thread(bulk, client, [event(1), case] * 5 + [event(2)])


async def test_all_or_none_rolls_back(cloud: Salesforce, connect: Connect) -> None:
    client = await connect()
    given = {"allOrNone": True, "records": [event(1), event(2, Event_Id__c=None)]}
    results = await asyncio.to_thread(lambda: client.restful("composite/sobjects", method="POST", json=given))
    assert [r["errors"][0]["statusCode"] for r in results] == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING"]
    assert cloud.events == []


async def test_case_is_upserted_by_its_alarm_and_found_by_query(cloud: Salesforce, connect: Connect) -> None:
    client = await connect()
    path = "composite/sobjects/Case/Gateway_Alarm_Id__c"
    records = [{"attributes": {"type": "Case"}, "Gateway_Alarm_Id__c": f"inc-{i}", "Subject": f"s{i}"} for i in range(3)]
    first = await asyncio.to_thread(bulk, client, records, path=path, method="PATCH")
    again = await asyncio.to_thread(bulk, client, records[:1] * 2 + records[1:], path=path, method="PATCH")
    assert [r["created"] for r in first] == [True] * 3
    assert [r["errors"][0]["statusCode"] if r["errors"] else r["created"] for r in again] == ["DUPLICATE_VALUE"] * 2 + [False] * 2
    assert await asyncio.to_thread(client.Case.upsert, "Gateway_Alarm_Id__c/inc-9", {"Subject": "nine"}) == 201
    assert await asyncio.to_thread(client.Case.upsert, "Gateway_Alarm_Id__c/inc-9", {"Subject": "ten"}) == 200
    cloud.api.page = 3
    asked = (
        "SELECT Id, Subject, LastModifiedBy.Name FROM Case WHERE Gateway_Alarm_Id__c != null AND LastModifiedDate > 2020-01-01T00:00:00Z"
    )
    rows = await asyncio.to_thread(client.query_all, f"{asked} ORDER BY Subject")
    assert [row["Subject"] for row in rows["records"]] == ["s0", "s1", "s2", "ten"]
    assert rows["records"][0]["LastModifiedBy"]["Name"] == "Service"
    with pytest.raises(SalesforceMalformedRequest, match="No such column"):
        await asyncio.to_thread(client.query, "SELECT Colour__c FROM Case")
    with pytest.raises(SalesforceMalformedRequest, match="must be of type dateTime"):
        await asyncio.to_thread(client.query, "SELECT Id FROM Case WHERE LastModifiedDate > '2020-01-01'")


async def test_second_case_of_an_alarm_is_a_duplicate(cloud: Salesforce, connect: Connect) -> None:
    client = await connect()
    await asyncio.to_thread(client.Case.create, {"Subject": "a", "Gateway_Alarm_Id__c": "inc-1"})
    with pytest.raises(SalesforceMalformedRequest, match="DUPLICATE_VALUE"):
        await asyncio.to_thread(client.Case.create, {"Subject": "b", "Gateway_Alarm_Id__c": "inc-1"})
    with pytest.raises(SalesforceMalformedRequest, match="RESTRICTED_PICKLIST"):
        await asyncio.to_thread(client.Case.create, {"Subject": "b", "Gateway_Verdict__c": "Perhaps"})


async def test_sessions_end_and_calls_run_out(cloud: Salesforce, connect: Connect) -> None:
    client = await connect()
    cloud.limits.use_up_calls(cloud.now())
    with pytest.raises(SalesforceRefusedRequest, match="REQUEST_LIMIT_EXCEEDED"):
        await asyncio.to_thread(client.limits)
    cloud.ahead = 86_401
    with pytest.raises(SalesforceAuthenticationFailed, match="expired authorization code"):
        await asyncio.to_thread(client.limits)  # it logs in again, by a clock that is a day behind
    client = await connect(consumer_key="3MVG9.app", consumer_secret="s3cret")
    assert (await asyncio.to_thread(client.limits))["DailyApiRequests"]["Remaining"] == 99_999
    cloud.logins.revoke()
    cloud.logins.app.client_secret = "changed"
    with pytest.raises(SalesforceAuthenticationFailed, match="invalid client credentials"):
        await asyncio.to_thread(client.Gateway_Event__e.create, EVENT)


async def test_what_is_not_there_is_not_found(cloud: Salesforce, connect: Connect) -> None:
    client = await connect()
    with pytest.raises(SalesforceResourceNotFound):
        await asyncio.to_thread(client.Colour__e.create, {})
    with pytest.raises((SalesforceGeneralError, SalesforceResourceNotFound)):
        await asyncio.to_thread(client.restful, "composite/nonsense")
    described = await asyncio.to_thread(client.Gateway_Event__e.describe)
    assert {"Event_Id__c", "Data__c"} <= {field["name"] for field in described["fields"]}


async def test_chunked_body_is_understood(cloud: Salesforce) -> None:
    """One client sends its JSON in chunks; this writes them by hand."""
    import ssl

    token = cloud.logins.token({"grant_type": "client_credentials", "client_id": "3MVG9.app", "client_secret": "s3cret"}, "", cloud.now())
    parts = urlsplit(cloud.url)
    context = ssl.create_default_context(cafile=str(Path(str(cloud.ca))))
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
    body = json.dumps(EVENT).encode()
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:20], body[20:])) + b"0\r\n\r\n"
    head = (
        "POST /services/data/v66.0/sobjects/Gateway_Event__e HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {token['access_token']}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + pieces)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 201")
    assert [e["Event_Id__c"] for e in cloud.events] == ["inc-1-0001"]


def test_port_is_free_when_nobody_started_it() -> None:
    server = Salesforce()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0
