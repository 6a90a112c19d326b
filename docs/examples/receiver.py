"""Takes events by HTTP POST: checks the signature, drops duplicates, prints one JSON line per event.

    LINESIDE_WEBHOOK_SECRET=whsec_... python receiver.py PORT DATABASE

Needs aiohttp and standardwebhooks. Port 0 takes any; the first line says which.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from cases import handled, opened, tell
from standardwebhooks import Webhook, WebhookVerificationError

Event = tuple[dict[str, Any], Any]
"""Attributes and data."""


def events_in(request: web.Request, body: bytes) -> list[Event]:
    """The three forms of the CloudEvents HTTP binding. Raises ValueError."""
    if request.content_type == "application/cloudevents-batch+json":
        documents = json.loads(body)
        if not isinstance(documents, list):
            raise ValueError("a batch is a list")
        return [_split(document) for document in documents]
    if request.content_type == "application/cloudevents+json":
        return [_split(json.loads(body))]
    attributes = {name[3:].lower(): unquote(value) for name, value in request.headers.items() if name.lower().startswith("ce-")}
    return [(attributes, json.loads(body))]


def _split(document: Any) -> Event:
    if not isinstance(document, dict):
        raise ValueError("an event is a JSON object")
    return document, document.get("data")


class Receiver:
    """Answers 204 only when every event of the request is on the disk; anything else makes the gateway send again."""

    def __init__(self, database: sqlite3.Connection, secret: str) -> None:
        self._database, self._webhook = database, Webhook(secret)

    async def post(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            # Before anything is parsed, over the bytes as they came. It refuses what is older than five minutes, too.
            self._webhook.verify(body, dict(request.headers), json_parse=False)
        except (WebhookVerificationError, ValueError):
            return web.Response(status=401)
        try:
            for attributes, data in events_in(request, body):
                self._take(attributes, data)
        except (ValueError, KeyError, TypeError) as exc:
            return web.Response(status=400, text=f"not an event of ours: {exc}")
        return web.Response(status=204)

    def _take(self, attributes: dict[str, Any], data: Any) -> None:
        tell(handled(self._database, attributes, data), attributes, data=data)


async def serve(port: int, file: str) -> None:
    receiver = Receiver(opened(file), os.environ["LINESIDE_WEBHOOK_SECRET"])
    app = web.Application(client_max_size=16 << 20)  # a batch with evidence is larger than the default of 1 MiB
    app.add_routes([web.post("/", receiver.post)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    tell("listens", address=f"http://127.0.0.1:{runner.addresses[0][1]}/")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
