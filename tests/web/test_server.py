"""The API as a client on the network sees it: a real server on a free port."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import aiohttp
import pytest

from gateway.testkit.servers.ports import free_port
from gateway.web import PageServer

ROUTES = ["/", "/api/status", "/api/machines", "/api/history?machine=press-07", "/api/spectra", "/api/incidents", "/metrics", "/healthz"]


async def test_status_tells_gateway_links_outbox(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/status") as reply:
        status = await reply.json()
    assert reply.status == 200
    assert status["gateway"]["name"] == "dresden-press-01"
    assert [each["state"] for each in status["destinations"]] == ["up", "down"]
    assert status["outbox"]["events"] == 12


async def test_nan_leaves_as_null_and_numpy_as_number(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/machines") as reply:
        machines = await reply.json()
    temperature, pressure = machines[0]["tags"][:2]
    assert temperature["value"] == 71.25
    assert pressure["value"] is None


async def test_history_gives_what_is_later_than_since(client: aiohttp.ClientSession, view: Any) -> None:
    async with client.get("/api/history", params={"machine": "press-07"}) as reply:
        whole = (await reply.json())["tags"]["oil_temperature"]
    since_ns = int(whole["t"][-5] * 1e9)
    async with client.get("/api/history", params={"machine": "press-07", "since": str(since_ns)}) as reply:
        part = (await reply.json())["tags"]["oil_temperature"]
    assert part["t"][:4] == whole["t"][-4:]
    assert len(part["t"]) == len(part["v"])
    assert view.asked[-1] == ("press-07", since_ns)


@pytest.mark.parametrize("since", ["", "soon", "-1", "1.5", "9" * 40, "٣"])
async def test_history_since_nonsense_is_refused(client: aiohttp.ClientSession, since: str) -> None:
    async with client.get("/api/history", params={"machine": "press-07", "since": since}) as reply:
        assert reply.status == 400
        assert "nanoseconds" in (await reply.json())["error"]


async def test_history_needs_a_machine_that_exists(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/history") as reply:
        assert reply.status == 400
    async with client.get("/api/history?machine=press-99") as reply:
        assert (reply.status, await reply.json()) == (404, {"error": "no such machine"})


async def test_spectra_come_with_bearing_lines(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/spectra") as reply:
        envelope = (await reply.json())["pump-3/vibration_x"]["envelope_spectrum"]
    assert "BPFO" in {line["name"] for line in envelope["lines"]}
    assert len(envelope["amplitudes"]) == 800


async def test_incidents_and_one_of_them_with_evidence(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/incidents?limit=1") as reply:
        assert len(await reply.json()) == 1
    async with client.get("/api/incidents/inc-aaaaaaaaaaaaaaaa") as reply:
        incident = await reply.json()
    assert incident["explanation"]["iso"]["zone"] == "C"
    assert "readings" in incident["evidence"]
    async with client.get("/api/incidents/inc-none") as reply:
        assert (reply.status, await reply.json()) == (404, {"error": "no such incident"})


async def test_a_watch_with_each_thing_it_learns(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/watches/oil") as reply:
        watch = await reply.json()
    assert (watch["learning"]["still"], [tag["share"] for tag in watch["tags"]]) == (3, [0.425])
    async with client.get("/api/watches/none") as reply:
        assert (reply.status, await reply.json()) == (404, {"error": "no such watch"})


@pytest.mark.parametrize("limit", ["0", "-1", "501", "many", ""])
async def test_incidents_limit_is_bounded(client: aiohttp.ClientSession, limit: str) -> None:
    async with client.get("/api/incidents", params={"limit": limit}) as reply:
        assert reply.status == 400


async def test_metrics_are_prometheus_text(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics") as reply:
        assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "lineside_up 1" in await reply.text()


async def test_healthz_is_503_when_the_pipeline_stands(client: aiohttp.ClientSession, view: Any) -> None:
    async with client.get("/healthz") as reply:
        assert (reply.status, (await reply.json())["healthy"]) == (200, True)
    view.healthy_now = False
    async with client.get("/healthz") as reply:
        assert reply.status == 503
        assert await reply.json() == {"healthy": False, "pipeline": "no progress for 31 s"}


@pytest.mark.parametrize("route", ROUTES)
async def test_head_answers_like_get_without_a_body(client: aiohttp.ClientSession, route: str) -> None:
    async with client.head(route) as reply:
        assert reply.status == 200
        assert await reply.read() == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_nothing_can_be_changed(client: aiohttp.ClientSession, method: str) -> None:
    async with client.request(method, "/api/status") as reply:
        assert reply.status == 405
        assert reply.headers["Allow"] == "GET,HEAD"
        assert await reply.json() == {"error": "method not allowed"}


@pytest.mark.parametrize("path", ["/nothing", "/api/", "/static/", "/static/%2e%2e/server.py", "/static/../view.py"])
async def test_unknown_paths_are_refused_as_json_and_with_headers(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as reply:
        assert reply.status in {403, 404}
        assert "error" in await reply.json()
        assert reply.headers["Cache-Control"] == "no-store"


async def test_a_static_file_that_is_not_there_is_404(client: aiohttp.ClientSession) -> None:
    async with client.get("/static/nothing.js") as reply:
        assert reply.status == 404
        assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("route", [*ROUTES, "/static/app.js", "/static/vendor/uplot/uPlot.esm.js"])
async def test_every_answer_is_uncached_and_loads_nothing_from_elsewhere(client: aiohttp.ClientSession, route: str) -> None:
    async with client.get(route) as reply:
        assert reply.status == 200
        policy = reply.headers["Content-Security-Policy"]
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Server"] == "lineside"
    assert policy == "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "[::ffff]:1", "10.0.0.1"]
)
async def test_a_rebound_name_is_turned_away(client: aiohttp.ClientSession, host: str) -> None:
    async with client.get("/api/status", headers={"Host": host}) as reply:
        assert reply.status == 421
        assert "127.0.0.1" in (await reply.json())["error"]


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1", "[::1]:9000", "LOCALHOST"])
async def test_loopback_names_are_welcome_also_through_a_tunnel(client: aiohttp.ClientSession, host: str) -> None:
    async with client.get("/api/status", headers={"Host": host}) as reply:
        assert reply.status == 200


async def test_an_open_address_answers_to_any_name(view: Any) -> None:
    server = PageServer(view, "0.0.0.0", 0)
    port = await server.start()
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/healthz", headers={"Host": "gateway.plant"}) as reply,
        ):
            assert reply.status == 200
    finally:
        await server.stop()


async def test_a_failing_answer_is_500_and_logged_once(client: aiohttp.ClientSession, view: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lineside")
    view.broken = True
    for _ in range(3):
        async with client.get("/api/status") as reply:
            assert (reply.status, await reply.json()) == (500, {"error": "internal error, see the log of the gateway"})
    async with client.get("/api/machines") as reply:
        assert reply.status == 200
    view.broken = False
    async with client.get("/api/status") as reply:
        assert reply.status == 200
    assert [(each.levelname, each.message) for each in caplog.records] == [("ERROR", "failed"), ("INFO", "back")]
    assert caplog.records[0].fields == {"route": "/api/status", "why": "RuntimeError"}


async def test_a_port_that_is_taken_is_an_os_error_and_leaves_nothing_behind(view: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = PageServer(view, "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OSError, match="address already in use"):
            await server.start()
        await server.stop()


@pytest.mark.parametrize("turns", range(8))
async def test_a_start_that_is_cancelled_leaves_the_port_free(view: Any, turns: int) -> None:
    port = free_port()
    server = PageServer(view, "127.0.0.1", port)
    starting = asyncio.create_task(server.start())
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    await server.stop()
    socket.create_server(("127.0.0.1", port)).close()


async def test_stop_ends_connections_and_twice_is_fine(view: Any) -> None:
    server = PageServer(view, "127.0.0.1", 0)
    port = await server.start()
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/healthz") as reply:
            assert reply.status == 200
        await server.stop()
        await server.stop()
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"http://127.0.0.1:{port}/healthz")
