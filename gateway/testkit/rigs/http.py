"""HTTP ingest: the gateway's own page on port 0, and a sender that posts to it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import Any, ClassVar

import aiohttp

from gateway import registry
from gateway.contract import Source
from gateway.telemetry.counts import Counts
from gateway.testkit.contexts import source_context
from gateway.web import PageServer
from gateway.web.ingest import Ingest

TOKEN = "let-me-in"
_TAGS: dict[str, dict[str, Any]] = {
    "oee": {"value": "$.kpi.oee", "unit": "%"},
    "running": {"kind": "state", "states": {"RUN": 1, "STOP": 0}},
}
_RECORDS = {"order_step": {"match": {"type": "step"}}}


class Rig:
    """`stimulate` posts one document with a value for each tag and a business message. Its answer comes with a later read."""

    can_be_dead = False
    tags = len(_TAGS)
    exempt: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self.ingest = Ingest(Counts())
        self._page = PageServer(None, "127.0.0.1", 0, self.ingest)  # type: ignore[arg-type]
        self._posts: set[asyncio.Task[tuple[int, Any]]] = set()
        self.lost: Counter[str] = Counter()
        self.url, self._count = "", 0

    async def start(self) -> None:
        self.url = f"http://127.0.0.1:{await self._page.start()}/ingest/m1"

    async def stop(self) -> None:
        for post in self._posts:
            post.cancel()
        await asyncio.gather(*self._posts, return_exceptions=True)
        await self._page.stop()

    def source(self, *, records: dict[str, Any] | None = None, tags: dict[str, Any] | None = None, **more: Any) -> Source:
        plugin = registry.source("http")
        context = {key: more.pop(key) for key in ("state_dir", "told", "clock") if key in more}
        options = plugin.options.model_validate({"http": "ingest", "token": {"secret": "mes"}, "time": "$.at", **more})
        door = self.ingest.door("m1")
        tags, records = _TAGS if tags is None else tags, _RECORDS if records is None else records
        return plugin.build(
            options, source_context(plugin, tags, records=records, secrets={"mes": TOKEN}, serve=door.serve, lost=self.lost, **context)
        )

    def dead_source(self) -> Source:
        raise NotImplementedError("it has no peer")

    async def stimulate(self) -> None:
        self._count += 1
        rows = [
            {"type": "step", "order": "4711", "step": self._count, "at": time.time_ns() // 1_000_000},
            {"type": "kpi", "kpi": {"oee": 81.5}, "running": "RUN", "at": time.time_ns() // 1_000_000},
        ]
        self.begin(json.dumps(rows))

    def begin(self, body: str | bytes, **headers: str) -> asyncio.Task[tuple[int, Any]]:
        """Post without waiting for the answer, which comes after the next `read`."""
        post = asyncio.create_task(self.post(body, **headers))
        self._posts.add(post)
        post.add_done_callback(self._posts.discard)
        return post

    async def post(self, body: str | bytes, *, token: str = TOKEN, kind: str = "application/json", **headers: str) -> tuple[int, Any]:
        """Status and JSON of the answer. `headers` with ``_`` for ``-``."""
        own = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        given = own | {name.replace("_", "-"): value for name, value in headers.items()}
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session, session.post(self.url, data=body, headers=given) as reply:
            return reply.status, await reply.json()
