"""JetStream as a receiver: a nats-server that syncs every message, and what its stream holds as a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.testkit.servers.nats import NatsServer
from rig.ledger import Arrival

STREAM = "EVENTS"


class Stream(NatsServer):
    """`sync` always: an acknowledged message is on its disk; ``2m`` is nats-server's default."""

    def __init__(self, folder: Path, *, sync: str = "always", extra: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, jetstream=f"sync_interval: {sync}", extra=extra)

    def destination(self) -> dict[str, Any]:
        """For `deliver` in the configuration."""
        return {"nats": self.url, "stream": STREAM, "timeout": "2s", "batch": 50, "retry": {"first": "100ms", "longest": "2s"}}

    async def arrivals(self) -> list[Arrival]:
        """Everything in the stream, in order."""
        client = await self.client()
        try:
            js = client.jetstream()
            total = (await js.stream_info(STREAM)).state.messages
            subscription = await js.pull_subscribe(">", stream=STREAM)
            found: list[Arrival] = []
            while len(found) < total:
                for message in await subscription.fetch(min(500, total - len(found)), timeout=5):
                    found.append(_arrival(message.headers or {}, message.data))
                    await message.ack()
            return found
        finally:
            await client.close()


def _arrival(headers: dict[str, str], data: bytes) -> Arrival:
    import json

    key = str((json.loads(data).get("explanation") or {}).get("order", ""))
    return Arrival(headers["ce-source"], int(headers["ce-sequence"]), headers["ce-id"], headers.get("ce-partitionkey", ""), key)
