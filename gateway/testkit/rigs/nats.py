"""NATS: the real nats-server with a stream whose messages are limited in size."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway import registry
from gateway.contract import Uplink
from gateway.testkit.contexts import uplink_context
from gateway.testkit.rigs import LARGE_BYTES, POISON_BYTES
from gateway.testkit.servers.nats import NatsServer
from gateway.testkit.servers.ports import free_port


class Rig:
    """The server is killed and frozen by signals; its store outlives both."""

    exempt: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self._server, self._dead, self._made = NatsServer(), free_port(), False

    async def start(self) -> None:
        await self._server.start()
        if not self._made:
            await self._server.create_stream(max_msg_size=(LARGE_BYTES + POISON_BYTES) // 2)
            self._made = True

    async def stop(self) -> None:
        await self._server.kill()

    async def hang(self) -> None:
        self._server.freeze()

    async def resume(self) -> None:
        self._server.thaw()

    async def poison(self, event_id: str) -> None:
        """The stream refuses it by its size."""

    def uplink(self) -> Uplink:
        return self._build(self._server.url)

    def dead_uplink(self) -> Uplink:
        return self._build(f"nats://127.0.0.1:{self._dead}")

    async def received(self) -> list[str]:
        return await self._server.message_ids()

    @staticmethod
    def _build(url: str) -> Uplink:
        plugin = registry.uplink("nats")
        options: dict[str, Any] = {"nats": url, "stream": "EVENTS", "timeout": "1s"}
        return plugin.build(plugin.options.model_validate(options), uplink_context())
