"""Modbus TCP, RTU and ASCII."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from drivers.modbus.config import ModbusOptions, ModbusTag
from gateway.contract import Load, Source, SourceContext, SourcePlugin, Tag


def build(options: ModbusOptions, context: SourceContext) -> Source:
    from drivers.modbus.source import ModbusSource

    return ModbusSource(options, context)


async def probe(options: ModbusOptions, context: SourceContext) -> AsyncIterator[str]:
    from drivers.modbus.probing import probe as run

    async for line in run(options, context):
        yield line


def load(options: ModbusOptions, tags: Sequence[Tag]) -> Load:
    from drivers.modbus.cost import load as compute

    return compute(options, tags)


def shares(options: ModbusOptions) -> tuple[str, Mapping[str, object]]:
    return f"the line {options.endpoint.bus}", options.terms


plugin = SourcePlugin(
    name="modbus",
    options=ModbusOptions,
    tag=ModbusTag,
    build=build,
    schemes=("modbus", "tcp", "tls", "rtu", "ascii", "rtu+tcp", "ascii+tcp"),
    writes=True,
    probe=probe,
    plan=load,
    shares=shares,
    profiles=Path(__file__).with_name("profiles"),
)
