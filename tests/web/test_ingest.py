"""The door of the page: how large, how packed, from whom."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from gateway.contract import Answer, Posted
from gateway.telemetry.counts import Counts
from gateway.web import PageServer, ingest
from gateway.web.ingest import MOST_BYTES, Ingest


class Plant:
    """A page with one open door, behind which everything posted is kept."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.ingest, self.got = Ingest(self.counts), list[Posted]()
        self.door = self.ingest.door("mes")
        self.door.serve(self.take)
        self.url = ""

    async def take(self, posted: Posted) -> Answer:
        self.got.append(posted)
        return Answer(202, {"rows": 1})


@pytest.fixture
async def plant(view: Any) -> AsyncIterator[Plant]:
    made = Plant()
    server = PageServer(view, "127.0.0.1", 0, made.ingest)
    made.url = f"http://127.0.0.1:{await server.start()}"
    yield made
    await server.stop()


async def post(plant: Plant, body: Any = b"{}", path: str = "/ingest/mes", **headers: str) -> tuple[int, str]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    data = io.BytesIO(body) if isinstance(body, bytes) else body
    async with aiohttp.request("POST", plant.url + path, data=data, headers=given) as reply:
        return reply.status, await reply.text()


async def test_what_is_posted_reaches_the_source(plant: Plant) -> None:
    headers = {"Authorization": "Bearer abc", "Content_Type": "text/csv", "Idempotency_Key": "k1"}
    assert await post(plant, b"a,b", **headers) == (202, '{"rows":1}')
    assert plant.got == [Posted(content_type="text/csv", body=b"a,b", token="abc", key="k1")]
    assert plant.counts.total("posts", source="mes", status="202") == 1


async def test_headers_in_latin_1_are_text_like_others(plant: Plant) -> None:
    host, _, port = plant.url.removeprefix("http://").partition(":")
    for authorization in ("Bearer tür", "Basic übc"):
        reader, writer = await asyncio.open_connection(host, int(port))  # aiohttp's client writes UTF-8 only
        head = f"POST /ingest/mes HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\nIdempotency-Key: Müller-1\r\n"
        writer.write(f"{head}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode("latin-1"))
        assert b" 202 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
    assert [(posted.token, posted.key) for posted in plant.got] == [("tür", "Müller-1"), ("", "Müller-1")]


async def test_an_encoding_that_is_no_text_is_refused_as_any_other(plant: Plant) -> None:
    host, _, port = plant.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /ingest/mes HTTP/1.1\r\nHost: {host}\r\nContent-Encoding: "
    writer.write(head.encode() + b"\xff\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    assert b" 415 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_gzip_is_unpacked_also_of_several_members(plant: Plant) -> None:
    text = b"0123456789" * 100_000
    packed = gzip.compress(text[:500_000]) + gzip.compress(text[500_000:])
    assert (await post(plant, packed, Content_Encoding="gzip"))[0] == 202
    assert plant.got[0].body == text


@pytest.mark.parametrize(
    ("body", "encoding", "status", "why"),
    [
        (lambda: b"x" * (MOST_BYTES + 1), "identity", 413, "more than 10 MB"),
        (lambda: gzip.compress(bytes(10 * MOST_BYTES), 9), "gzip", 413, "more than 10 MB"),
        (lambda: gzip.compress(b"{}" * 1000)[:-9], "gzip", 400, "cut off"),
        (lambda: b"no gzip at all", "gzip", 400, "no gzip body"),
        (lambda: b"{}", "br", 415, "Content-Encoding br"),
    ],
    ids=["large", "bomb", "cut off", "nonsense", "brotli"],
)
async def test_what_is_too_large_or_broken_never_reaches_the_source(
    plant: Plant, body: Callable[[], bytes], encoding: str, status: int, why: str
) -> None:
    got, text = await post(plant, body(), Content_Encoding=encoding)
    assert (got, why in text) == (status, True), text
    assert plant.got == []
    assert plant.ingest._held == {}
    assert (await post(plant))[0] == 202


async def test_a_body_in_chunks_that_tells_no_length_is_bounded_too(plant: Plant) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MOST_BYTES // 1_000_000 + 1):
            yield b"x" * 1_000_000

    assert (await post(plant, chunks()))[0] == 413
    assert plant.got == []


@pytest.fixture
async def elsewhere(monkeypatch: pytest.MonkeyPatch) -> aiohttp.TCPConnector:
    """Of another machine, as far as the page knows."""
    monkeypatch.setattr(ingest, "group", lambda address: address)
    return aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))


async def test_a_stranger_who_holds_up_posts_holds_up_their_own(plant: Plant, elsewhere: aiohttp.TCPConnector) -> None:
    never = asyncio.Event()

    async def drip() -> AsyncIterator[bytes]:
        yield b"x" * (MOST_BYTES - 1)
        await never.wait()

    async with aiohttp.ClientSession(connector=elsewhere) as session:
        held = [asyncio.create_task(session.post(f"{plant.url}/ingest/mes", data=drip())) for _ in range(2)]
        async with asyncio.timeout(10):
            while sum(plant.ingest._held.values()) < (MOST_BYTES - 1) * (2 - any(task.done() for task in held)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await post(plant, b"x" * 1_000_000))[0] == 202
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)


async def test_all_that_waits_together_is_bounded(plant: Plant, elsewhere: aiohttp.TCPConnector, monkeypatch: pytest.MonkeyPatch) -> None:
    free, inside = asyncio.Event(), asyncio.Event()

    async def slow(posted: Posted) -> Answer:
        if len(plant.got) == 1:
            inside.set()
        plant.got.append(posted)
        await free.wait()
        return Answer(202, {})

    plant.door.serve(slow)
    async with aiohttp.ClientSession(connector=elsewhere) as session:
        first = asyncio.create_task(post(plant, b"x" * MOST_BYTES))
        other = asyncio.create_task(session.post(f"{plant.url}/ingest/mes", data=io.BytesIO(b"x" * MOST_BYTES)))
        await asyncio.wait_for(inside.wait(), 10)
        assert (await post(plant, b"x"))[0] == 503
        monkeypatch.setattr(ingest, "group", lambda _: "a third one")
        assert (await post(plant, b"x"))[0] == 503
        free.set()
        assert ((await first)[0], (await other).status) == (202, 202)
    assert plant.ingest._held == {}


async def test_a_body_that_does_not_come_is_given_up(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "BODY_SECONDS", 0.05)
    never = asyncio.Event()

    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await never.wait()

    request = asyncio.create_task(post(plant, drip()))
    assert (await asyncio.wait_for(request, 5))[0] == 408


async def test_unknown_is_404_shut_is_503_with_retry_after(plant: Plant) -> None:
    assert (await post(plant, path="/ingest/erp"))[0] == 404
    plant.door.serve(None)
    async with aiohttp.request("POST", f"{plant.url}/ingest/mes", data=b"{}") as reply:
        assert (reply.status, reply.headers["Retry-After"]) == (503, "5")


async def test_the_door_of_a_source_that_was_replaced_opens_and_shuts_nothing(plant: Plant) -> None:
    old = plant.door
    plant.ingest.door("mes").serve(plant.take)
    old.serve(None)
    assert (await post(plant))[0] == 202
    plant.ingest.keep({"erp"})
    assert (await post(plant))[0] == 404


async def test_only_what_is_posted_may_come_under_a_foreign_name(plant: Plant) -> None:
    """A proxy on the gateway passes on the name the plant knows it by; a page that a browser reads must not come so."""
    assert (await post(plant, Host="gateway.plant.example"))[0] == 202
    for path in ("/api/status", "/ingest/../api/status", "/ingest/mes"):
        async with aiohttp.request("GET", plant.url + path, headers={"Host": "evil.example"}) as reply:
            assert reply.status == 421


async def test_nothing_else_takes_a_post_and_ingest_takes_nothing_else(plant: Plant) -> None:
    for path in ("/", "/api/status", "/metrics", "/healthz", "/ingest/", "/ingest/mes/more"):
        assert (await post(plant, path=path))[0] in (404, 405)
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        async with aiohttp.request(method, f"{plant.url}/ingest/mes") as reply:
            assert reply.status == 405
    assert plant.got == []


@pytest.mark.parametrize("authorization", ["Basic", "Basic !!!", "Basic /w==", "Digest abc", "Bearer"])
async def test_a_login_that_is_none_is_an_empty_token(plant: Plant, authorization: str) -> None:
    await post(plant, Authorization=authorization)
    assert plant.got[0].token == ""
