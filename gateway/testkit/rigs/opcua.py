"""OPC UA: an asyncua server on loopback with signing and encryption, a user, values of several types and a node it does not have."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from gateway import registry
from gateway.contract import Source
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.opcua import OpcuaServer
from gateway.testkit.servers.ports import free_port

_VALUES = {"spindle_load": 41.5, "spindle_speed": 1500, "door_closed": True, "program": "O1234", "parts": 0}


@cache
def _state_dir() -> Path:
    """One gateway in all of a process: its certificate is made once."""
    plugin = registry.source("opcua")
    return source_context(plugin, {}).state_dir


class Rig:
    """`stimulate` counts a part."""

    can_be_dead = True
    tags = len(_VALUES) + 1
    exempt: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self._server, self._dead, self._parts = OpcuaServer(_VALUES, encrypted=True), free_port(), 0

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    def source(self) -> Source:
        return self._build(self._server.url)

    def dead_source(self) -> Source:
        return self._build(f"opc.tcp://127.0.0.1:{self._dead}")

    async def stimulate(self) -> None:
        self._parts += 1
        await self._server.set("parts", self._parts)

    @staticmethod
    def _build(url: str) -> Source:
        plugin = registry.source("opcua")
        tags: dict[str, dict[str, Any]] = {name: {"node": OpcuaServer.node(name)} for name in (*_VALUES, "refused")}
        entry = {"security": "Basic256Sha256/SignAndEncrypt", "user": "edge", "password": {"secret": "password"}, "trust": "first_use"}
        options = plugin.options.model_validate({"opcua": url, "publishing": "50ms", "sampling": "20ms", **entry})
        return plugin.build(options, source_context(plugin, tags, secrets={"password": "s3cret"}, state_dir=_state_dir()))
