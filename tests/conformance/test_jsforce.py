"""The Salesforce of our tests, met by a client that knows the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from gateway.testkit.servers.salesforce import Salesforce


class Wire:
    """In front of the org; keeps what the client says."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.said = b""

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://localhost:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._pass(reader, onward, keep=True), self._pass(there, writer, keep=False))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, keep: bool) -> None:
        with suppress(ConnectionError):
            while block := await reader.read(65536):
                self.said += block if keep else b""
                writer.write(block)
        writer.close()


@pytest.fixture
async def org() -> AsyncIterator[Salesforce]:
    async with Salesforce() as running:
        yield running


@pytest.fixture
async def met(node: Any, org: Salesforce) -> Any:
    """What jsforce saw of an org with room for one event, and, at `said`, its own words."""
    org.limits.events_most = 1
    async with Wire(org.port) as wire:
        org.logins.domain = wire.url
        app = org.logins.app
        found = await node("jsforce.mjs", wire.url, app.client_id, app.client_secret)
    return found | {"said": wire.said}


def words(results: Any) -> list[tuple[bool, str]]:
    return [(each["success"], each["errors"][0]["statusCode"]) for each in results]


async def test_it_works_with_the_emulator(met: Any, org: Salesforce) -> None:
    """One run, for each call stands on those before it."""
    assert words(met["created"]) == [(True, "OPERATION_ENQUEUED"), (False, "REQUIRED_FIELD_MISSING"), (False, "LIMIT_EXCEEDED")]
    assert met["created"][0]["errors"][0]["message"] == org.events[0]["EventUuid"]
    assert met["created"][1]["errors"][0]["fields"] == ["Event_Id__c"]
    assert [event["Title__c"] for event in org.events] == ["zu heiß"]
    assert met["alone"] == ["INVALID_FIELD", "LIMIT_EXCEEDED"]
    assert [each["created"] for each in met["first"]] == [True, True]
    assert [each["created"] for each in met["second"]] == [False, True]
    assert met["cases"] == [{"Subject": "a, later"}, {"Subject": "b"}, {"Subject": "c"}]
    assert met["usage"] == {"used": len(org.calls) - 1, "limit": org.limits.calls_most}  # the last call was refused
    assert met["remaining"] == 0


async def test_bodies_in_chunks_were_understood(met: Any) -> None:
    assert b"transfer-encoding: chunked" in met["said"].lower()
    assert b"zu hei\xc3\x9f" in met["said"]


async def test_who_has_no_right_is_refused(met: Any, org: Salesforce) -> None:
    assert met["refused"] == {"secret": "invalid_client", "token": "INVALID_SESSION_ID", "query": "INVALID_FIELD"}
    assert (org.logins.asked, org.logins.granted) == (2, 1)
