"""From a post to an event at the receiver, through reloads and the end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

MES = """\
  mes:
    source: {{http: ingest, token: {{secret: mes_token}}, time: $.at{more}}}
    records:
      order_step: {{match: {{$.type: step}}}}
watch:
  - order: {{on: mes/order_step}}
"""


def with_mes(more: str = "", **replaced: str) -> Any:
    def change(text: str) -> str:
        text = text.replace("watch:\n", MES.format(more=more))
        for old, new in replaced.items():
            text = text.replace(old, new)
        return text

    return change


@pytest.fixture
def mes(site: Any) -> Any:
    (site.folder / "secrets").mkdir()
    (site.folder / "secrets" / "mes_token").write_text("let-me-in")
    (site.folder / "secrets" / "mes_token").chmod(0o600)
    site.configure(with_mes())
    return site


async def post(port: int, order: str, *, key: str = "", token: str = "let-me-in") -> tuple[int, Any]:
    row = {"type": "step", "order": order, "step": "milling", "at": "2026-11-01T08:00:00Z"}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    async with aiohttp.request("POST", f"http://127.0.0.1:{port}/ingest/mes", data=json.dumps(row), headers=headers) as reply:
        return reply.status, await reply.json()


async def ready(site: Any, app: Any) -> None:
    await site.until(lambda: app.edges.sources["mes"][2].state == "up")


async def test_a_202_means_that_the_event_is_on_disk(mes: Any) -> None:
    async with mes.run() as app:
        await ready(mes, app)
        await mes.receiver.stop()
        assert await post(app.page_port, "4711", key="k1") == (202, {"rows": 1})
        assert app.counts.total("events", type="io.lineside.order.milestone_reached.v1") == 1
        assert app.outbox.commits > 0
        assert (await post(app.page_port, "4711", key="k1"))[1] == {"repeated": True}
        assert (await post(app.page_port, "4711", token="guess"))[0] == 401
        assert app.counts.total("records") == 1
    await mes.receiver.start()
    async with mes.run() as app:
        await mes.until(lambda: mes.told() == ["milestone_reached"])
        await ready(mes, app)
        assert (await post(app.page_port, "4711", key="k1"))[1] == {"repeated": True}


async def test_a_reload_of_page_or_source_loses_no_door(mes: Any) -> None:
    async with mes.run() as app:
        await ready(mes, app)
        first = app.page_port
        mes.configure(with_mes(**{"page: {port: 0}": "page: {host: localhost, port: 0}"}))
        assert await app.reload()
        assert app.page_port != first
        assert (await post(app.page_port, "1"))[0] == 202
        mes.configure(with_mes(", remember: 1h", **{"page: {port: 0}": "page: {host: localhost, port: 0}"}))
        assert await app.reload()
        await ready(mes, app)
        assert (await post(app.page_port, "2"))[0] == 202
        mes.configure()
        assert await app.reload()
        assert (await post(app.page_port, "3"))[0] == 404


async def test_a_post_while_the_gateway_stops_is_503_and_never_left_without_an_answer(mes: Any) -> None:
    async with mes.run() as app:
        await ready(mes, app)
        port = app.page_port
        posts = [asyncio.create_task(post(port, str(number))) for number in range(20)]
        await mes.until(lambda: app.counts.total("posts") > 0)
        await app.edges.stop_sources(["mes"])
        assert (await post(port, "late"))[0] == 503
        assert {status for status, _ in await asyncio.gather(*posts)} <= {202, 503}
