"""Sparkplug B: an edge node with one device at mosquitto."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway import registry
from gateway.contract import Source
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.mqtt import Mosquitto, require_mosquitto
from gateway.testkit.servers.ports import free_port
from gateway.testkit.servers.sparkplug import DOUBLE, STRING, EdgeNode, Metrics

_TAGS: dict[str, dict[str, Any]] = {
    "load": {"device": "", "metric": "CPU/Load"},
    "speed": {"metric": "Speed", "unit": "rpm"},
    "mode": {"metric": "Mode", "kind": "state", "states": {"RUN": 1, "STOP": 0}},
}


class Rig:
    """`stimulate` publishes a new value of every metric. Skips where mosquitto is not installed."""

    can_be_dead = True
    tags = len(_TAGS)
    exempt: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        require_mosquitto()
        self._broker, self._dead, self._count = Mosquitto(), free_port(), 0
        devices: dict[str, Metrics] = {"": {"CPU/Load": (DOUBLE, 1.0)}, "press": {"Speed": (DOUBLE, 0.0), "Mode": (STRING, "STOP")}}
        self._node = EdgeNode(self._broker.url, "plant", "edge-1", devices)

    async def start(self) -> None:
        await self._broker.start()
        await self._node.start()

    async def stop(self) -> None:
        await self._node.stop()
        await self._broker.kill()

    def source(self) -> Source:
        return self._build(self._broker.url)

    def dead_source(self) -> Source:
        return self._build(f"mqtt://127.0.0.1:{self._dead}")

    async def stimulate(self) -> None:
        self._count += 1
        self._node.data("", **{"CPU/Load": float(self._count)})
        self._node.data("press", Speed=1480.0 + self._count, Mode="RUN")

    def _build(self, url: str) -> Source:
        plugin = registry.source("sparkplug")
        options = {"sparkplug": url, "group": "plant", "node": "edge-1", "device": "press", "keepalive": "4s", "rebirth_every": "1s"}
        return plugin.build(plugin.options.model_validate(options), source_context(plugin, _TAGS))
