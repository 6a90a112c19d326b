"""OPC UA by subscription."""

from __future__ import annotations

from drivers.opcua.config import OpcuaOptions, OpcuaTag
from gateway.contract import Source, SourceContext, SourcePlugin


def build(options: OpcuaOptions, context: SourceContext) -> Source:
    from drivers.opcua.source import OpcuaSource

    return OpcuaSource(options, context)


plugin = SourcePlugin(name="opcua", options=OpcuaOptions, tag=OpcuaTag, build=build)
