"""OPC UA by subscription."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from drivers.opcua.config import OpcuaOptions, OpcuaRecord, OpcuaTag
from gateway.contract import Found, Load, Source, SourceContext, SourcePlugin, Tag


def build(options: OpcuaOptions, context: SourceContext) -> Source:
    from drivers.opcua.source import OpcuaSource

    return OpcuaSource(options, context)


def browse(options: OpcuaOptions, context: SourceContext, globs: str) -> AsyncIterator[Found]:
    from drivers.opcua.browse import browse as walk

    return walk(options, context, globs)


def plan(options: OpcuaOptions, tags: Sequence[Tag]) -> Load:
    from drivers.opcua.plan import plan as load

    return load(options, tags)


plugin = SourcePlugin(
    name="opcua",
    options=OpcuaOptions,
    tag=OpcuaTag,
    record=OpcuaRecord,
    build=build,
    browse=browse,
    plan=plan,
    schemes=("opc.tcp",),
)
