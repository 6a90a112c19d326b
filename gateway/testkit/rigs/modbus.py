"""Modbus: a PLC on loopback with values of several types in all four tables."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway import registry
from gateway.contract import Source
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.ports import free_port

_TAGS: dict[str, dict[str, Any]] = {
    "oil_temperature": {"at": 40011, "as": "float32", "unit": "degC"},
    "oil_pressure": {"at": 40013, "as": "float32", "unit": "bar"},
    "strokes": {"at": 40101, "as": "uint32", "kind": "counter"},
    "state": {"at": 30001},
    "guard_closed": {"at": 1},
    "emergency_stop": {"at": 10003},
    "refused": {"at": 49001},
}


class Rig:
    """`stimulate` counts a stroke; one tag lies where the device refuses."""

    can_be_dead = True
    tags = len(_TAGS)
    exempt: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self._plc, self._dead, self._strokes = Plc(), free_port(), 0
        self._plc.port = free_port()
        self._plc.refuse = {("holding", 9000)}
        self._plc.set_float("holding", 10, 51.5)
        self._plc.set_float("holding", 12, 148.0)
        self._plc.set("input", 0, [3])
        self._plc.set("coil", 0, [1])

    async def start(self) -> None:
        await self._plc.start()

    async def stop(self) -> None:
        await self._plc.stop()

    def source(self) -> Source:
        return self._build(self._plc.port)

    def dead_source(self) -> Source:
        return self._build(self._dead)

    async def stimulate(self) -> None:
        self._strokes += 1
        self._plc.set("holding", 100, [0, self._strokes])

    @staticmethod
    def _build(port: int) -> Source:
        plugin = registry.source("modbus")
        options = {"modbus": f"tcp://127.0.0.1:{port}", "poll_seconds": 0.02, "timeout": "500ms"}
        return plugin.build(plugin.options.model_validate(options), source_context(plugin, _TAGS))
