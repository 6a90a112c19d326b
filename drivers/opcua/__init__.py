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


def doubts(options: OpcuaOptions) -> Sequence[str]:
    """None is what a server without certificates needs, so it is the default; but somebody should have decided on it."""
    if options.security != "None" or "security" in options.model_fields_set:
        return ()
    read = "values and the name of the user" if options.user else "values"
    return (
        f"{options.peer} is read without security: {read} can be read and changed on the way; "
        "security: Basic256Sha256/SignAndEncrypt switches it on, security: None says that it is meant",
    )


plugin = SourcePlugin(
    name="opcua",
    options=OpcuaOptions,
    tag=OpcuaTag,
    record=OpcuaRecord,
    build=build,
    browse=browse,
    plan=plan,
    doubts=doubts,
    schemes=("opc.tcp",),
)
