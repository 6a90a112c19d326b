"""Modbus TCP."""

from __future__ import annotations

from drivers.modbus.config import ModbusOptions, ModbusTag
from gateway.contract import Source, SourceContext, SourcePlugin


def build(options: ModbusOptions, context: SourceContext) -> Source:
    from drivers.modbus.source import ModbusSource

    return ModbusSource(options, context)


plugin = SourcePlugin(name="modbus", options=ModbusOptions, tag=ModbusTag, build=build)
