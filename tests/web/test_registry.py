"""The registry as a consumer uses it: from an event's `dataschema` to the contract, fetched once."""

from __future__ import annotations

import json
from hashlib import sha256
from urllib.parse import urljoin

import aiohttp
import fastjsonschema
import pytest

from gateway.events.catalogue import REGISTRY_URL, SHIPPED, dataschema, event_type, schema


async def test_the_index_leads_to_every_contract_and_knows_its_hash(client: aiohttp.ClientSession, page: str) -> None:
    async with client.get("/registry") as reply:
        assert (reply.status, reply.content_type) == (200, "application/json")
        index = await reply.json()
    (group,) = index["schemagroups"].values()
    assert group["schemascount"] == len(group["schemas"]) >= len(SHIPPED.own_types())
    for name, entry in group["schemas"].items():
        assert (entry["schemaid"], entry["versionscount"]) == (name, len(entry["versions"]))
        assert [number for number, version in entry["versions"].items() if version["isdefault"]] == [entry["defaultversionid"]]
        for version in entry["versions"].values():
            async with aiohttp.request("GET", urljoin(f"{page}/registry", version["schemaurl"])) as reply:
                body = await reply.read()
            assert sha256(body).hexdigest() == version["sha256"]
            assert json.loads(body)["$id"] == version["dataschema"]


@pytest.mark.parametrize(
    "type_", [event_type("vibration", "raised"), "io.lineside.gateway.events_summarised.v1", "io.lineside.feedback.verdict.v1"]
)
async def test_what_dataschema_names_is_what_the_event_was_checked_by(client: aiohttp.ClientSession, type_: str) -> None:
    place = dataschema(type_).removeprefix(REGISTRY_URL)
    async with client.get(f"/registry/contracts{place}") as reply:
        assert (reply.status, reply.content_type) == (200, "application/schema+json")
        assert json.loads(await reply.read()) == schema(type_)


async def test_a_fact_of_a_detector_we_do_not_know_has_the_common_contract(client: aiohttp.ClientSession) -> None:
    async with client.get("/registry/contracts/io.lineside.weld.seam_finished/1.0.json") as reply:
        found = json.loads(await reply.read())
    assert found["$id"] == f"{REGISTRY_URL}/io.lineside.weld.seam_finished/1.0.json"
    fastjsonschema.compile(found)({"machine": "weld-1", "title": "seam 4 finished", "detector": "weld", "at": "2027-01-15T08:00:00Z"})


async def test_it_is_sent_once_and_then_only_confirmed(client: aiohttp.ClientSession) -> None:
    for path in ("/registry", "/registry/contracts/io.lineside.limit.raised/1.0.json"):
        async with client.get(path) as reply:
            etag, body = reply.headers["ETag"], await reply.read()
        assert etag == f'"{sha256(body).hexdigest()}"'
        async with client.get(path, headers={"If-None-Match": f'W/"other", {etag}'}) as reply:
            assert (reply.status, await reply.read(), reply.headers["ETag"]) == (304, b"", etag)
        async with client.get(path, headers={"If-None-Match": '"other"'}) as reply:
            assert (reply.status, await reply.read()) == (200, body)
        async with client.head(path) as reply:
            assert (reply.status, reply.headers["ETag"], reply.headers["Content-Length"]) == (200, etag, str(len(body)))


@pytest.mark.parametrize(
    "place",
    [
        "io.lineside.limit.raised/1.1.json",
        "io.lineside.limit.raised/2.0.json",
        "io.lineside.limit.raised.v1/1.0.json",
        "io.lineside.limit.raised/1.0",
        "io.lineside.nobody.raised/1.0.json",
        "io.lineside.weld.seam_finished/1.9.json",
        "io.lineside.weld.seam_finished/7.0.json",
        "incident/1.0.schema.json",
        "..%2F/released.json",
        "%2e%2e%2f%2e%2e%2fbuild.py/1.0.json",
        "io.lineside." + "x" * 500 + ".y/1.0.json",
    ],
)
async def test_what_there_is_not_is_not_found(client: aiohttp.ClientSession, place: str) -> None:
    async with client.get(f"/registry/contracts/{place}") as reply:
        assert (reply.status, await reply.json()) == (404, {"error": "not found"})


async def test_asking_for_hundreds_of_names_does_not_fill_the_shared_catalogue(client: aiohttp.ClientSession) -> None:
    before = len(SHIPPED._schemas)
    for number in range(200):
        async with client.get(f"/registry/contracts/io.lineside.weld.seam_{number}/1.0.json") as reply:
            assert reply.status == 200
    assert len(SHIPPED._schemas) <= before + 50  # the known ones, if this test comes first


async def test_it_stands_behind_the_guard_of_the_page(client: aiohttp.ClientSession) -> None:
    for path in ("/registry", "/registry/contracts/io.lineside.limit.raised/1.0.json"):
        async with client.get(path, headers={"Host": "evil.example"}) as reply:
            assert reply.status == 421
        async with client.post(path) as reply:
            assert reply.status == 405
        async with client.get(path) as reply:
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
