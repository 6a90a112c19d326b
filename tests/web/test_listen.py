"""Connections: how many, how long, how large; the line beside the page goes on."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.telemetry.counts import Counts
from gateway.web import PageServer, listen

GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def answered(port: int) -> bool:
    reader, writer = await connect(port)
    try:
        writer.write(GET)
        return (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200")
    except (ConnectionError, TimeoutError):
        return False
    finally:
        writer.close()


@pytest.fixture
async def server(view: Any) -> Any:
    counts = Counts()
    made = PageServer(view, "127.0.0.1", 0, counts=counts)
    port = await made.start()
    yield port, counts
    await made.stop()


async def test_a_thousand_connections_are_turned_away_and_the_next_visitor_is_served(server: Any) -> None:
    port, counts = server
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    sockets = []
    try:
        for _ in range(1000):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            sockets.append(one)
            if len(sockets) % 50 == 0:
                await asyncio.sleep(0)
        async with asyncio.timeout(20):
            while counts.total("page_refused", reason="address") < 200:  # the others wait in the kernel  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not await answered(port)
    finally:
        for one in sockets:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    async with asyncio.timeout(10):
        while not await answered(port):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_line_beside_it_does_not_wait(server: Any) -> None:
    """While three hundred connections come, each with half a request, what runs on the same loop goes on."""
    port, _ = server
    longest, running = 0.0, True

    async def line() -> None:
        nonlocal longest
        while running:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - began)

    beside = asyncio.create_task(line())
    writers = []
    for _ in range(300):
        _, writer = await connect(port)
        writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")
        writers.append(writer)
    running = False
    await beside
    for writer in writers:
        writer.close()
    assert longest < 2.0  # a hang, not a speed: on a busy machine a turn takes what it takes


async def test_who_never_ends_a_header_is_closed(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    port, _ = server
    monkeypatch.setattr(listen, "HEADER_SECONDS", 0.3)
    reader, writer = await connect(port)
    writer.write(b"GET /healthz HTTP/1.1\r\n")
    for _ in range(3):
        writer.write(b"X-Drip: 1\r\n")
        await asyncio.sleep(0.05)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_also_when_its_first_request_was_whole(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    port, _ = server
    monkeypatch.setattr(listen, "HEADER_SECONDS", 0.3)
    reader, writer = await connect(port)
    writer.write(GET)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.write(b"GET /healthz HTTP/1.1\r\nX-")
    await asyncio.wait_for(reader.read(), 5)
    assert reader.at_eof()
    writer.close()


@pytest.mark.parametrize(
    "header", [b"X-Long: " + b"a" * 20_000, b"\r\n".join(b"X-%d: a" % n for n in range(500)), b"Cookie: " + b"b" * 70_000]
)
async def test_headers_are_bounded(server: Any, header: bytes) -> None:
    port, _ = server
    reader, writer = await connect(port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + header + b"\r\n\r\n")
    assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] in {b"400", b"431"}
    writer.close()


async def test_connections_of_this_machine_have_room_of_their_own(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    port, _ = server
    monkeypatch.setattr(listen, "MOST", 0)  # as if all places were taken from elsewhere
    assert await answered(port)
    monkeypatch.setattr(listen, "group", lambda address: "10.1.4.7")
    assert not await answered(port)


class TestTls:
    @pytest.fixture
    async def tls(self, guarded: Any, tmp_path: Path) -> Any:
        authority = trustme.CA()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(context)
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        entrance = type(guarded.entrance)(
            access=guarded.entrance.access, login=guarded.entrance.login, changes=guarded.entrance.changes, tls=context
        )
        server = PageServer(guarded.view, "localhost", 0, None, entrance)
        port = await server.start()
        yield port, trusting
        await server.stop()

    async def test_the_cookie_goes_over_https_only(self, guarded: Any, tls: Any) -> None:
        import aiohttp

        port, trusting = tls
        url = f"https://localhost:{port}"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session:
            given = {"user": "viewer", "password": "correct horse battery"}
            async with session.post(f"{url}/api/login", json=given, headers={"Origin": url}) as reply:
                morsel = reply.cookies[f"__Host-lineside-{port}"]
                assert (morsel["secure"], morsel["path"], morsel["domain"]) == (True, "/", "")
            async with session.get(f"{url}/api/me") as reply:
                assert (await reply.json())["name"] == "viewer"

    async def test_plain_http_and_old_tls_are_refused(self, tls: Any) -> None:
        port, trusting = tls
        assert not await answered(port)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            trusting.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("localhost", port, ssl=trusting)

    async def test_who_never_shakes_hands_is_closed(self, guarded: Any, tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        port, _ = tls
        monkeypatch.setattr(listen, "HANDSHAKE_SECONDS", 0.2)
        reader, writer = await asyncio.open_connection("localhost", port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer s3cr3t\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\ns3cr3t\r\n\r\n",
        b"GET /?token=s3cr3t" + b"s3cr3t" * 2000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03s3cr3t",
    ],
    ids=["header", "line", "long", "tls"],
)
async def test_what_is_no_request_is_told_to_nobody_and_its_answer_has_the_headers(
    server: Any, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    port, counts = server
    reader, writer = await connect(port)
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert b"Server: lineside" in head
    assert b"Content-Security-Policy: " in head
    assert b"aiohttp" not in head
    assert body == b'{"error":"this is no HTTP request"}'
    assert "s3cr3t" not in caplog.text
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert counts.total("page_refused", reason="malformed") == 1


async def test_a_sender_that_goes_away_in_the_middle_of_a_post_is_no_failure_of_the_page(
    guarded: Any, caplog: pytest.LogCaptureFixture
) -> None:
    port = int(guarded.url.rpartition(":")[2])
    reader, writer = await connect(port)
    head = b"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nContent-Type: application/json\r\n"
    writer.write(head + b"Content-Length: 50\r\nExpect: 100-continue\r\n\r\n")
    await reader.readline()  # it waits for the body
    writer.close()
    for _ in range(10):  # by then it has noticed
        assert await answered(port)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nOrigin: http://[\r\n", b"403"),
        (b"GET /static/" + b"a" * 300 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"404"),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: \xff\r\n", b"400"),
        ("POST /api/logout HTTP/1.1\r\nHost: 127.0.0.1:٣\r\nAuthorization: Bearer token-viewer\r\n".encode(), b"200"),
    ],
    ids=["origin", "file", "expect", "host"],
)
async def test_nothing_a_stranger_writes_is_a_failure_of_the_page(
    guarded: Any, caplog: pytest.LogCaptureFixture, sent: bytes, status: bytes
) -> None:
    """Each would be a trace in the log, and so the log full of them."""
    reader, writer = await connect(int(guarded.url.rpartition(":")[2]))
    writer.write(sent + b"Content-Length: 0\r\n\r\n")
    assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == status
    writer.close()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
