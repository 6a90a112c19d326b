"""Takes events from a JetStream stream: drops duplicates, prints one JSON line per event.

    python consumer.py nats://localhost:4222 STREAM DURABLE DATABASE [SUBJECT]

Needs nats-py. The stream must be there; the durable consumer is made if it is not. Without SUBJECT it takes all of the stream.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from typing import Any
from urllib.parse import unquote

import nats
from cases import handled, opened, tell
from nats.aio.msg import Msg


def attributes_of(headers: dict[str, str] | None) -> dict[str, str]:
    """Binary mode: every attribute is a header ``ce-...``, percent-encoded."""
    return {name[3:].lower(): unquote(value) for name, value in (headers or {}).items() if name.lower().startswith("ce-")}


async def take(database: sqlite3.Connection, message: Msg) -> None:
    """Acknowledge after it is on the disk: what is not acknowledged comes again."""
    attributes: dict[str, Any] = attributes_of(message.headers)
    try:
        data = json.loads(message.data)
        what = handled(database, attributes, data)
    except (ValueError, KeyError, TypeError) as exc:
        tell("refused", address=message.subject, why=repr(exc))
        await message.term()  # it would be no better the next time
        return
    await message.ack()
    tell(what, attributes, data=data)


async def consume(url: str, stream: str, durable: str, file: str, subject: str = "") -> None:
    database = opened(file)
    client = await nats.connect(url, max_reconnect_attempts=-1)
    # One at a time would keep the order even when a message must come again; here `sequence` sorts it out.
    subscription = await client.jetstream().pull_subscribe(subject or ">", durable=durable, stream=stream)
    tell("consumes", stream=stream, durable=durable)
    while True:
        try:
            messages = await subscription.fetch(100, timeout=5)
        except TimeoutError:  # nothing new
            continue
        for message in messages:
            await take(database, message)


if __name__ == "__main__":
    asyncio.run(consume(*sys.argv[1:]))
