"""Sparkplug B 3.0, as host application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from drivers.broker.connection import claim
from drivers.sparkplug.config import SparkplugOptions, SparkplugTag
from gateway.contract import Found, Load, Source, SourceContext, SourcePlugin, Tag


def build(options: SparkplugOptions, context: SourceContext) -> Source:
    from drivers.sparkplug.source import SparkplugSource

    return SparkplugSource(options, context)


def browse(options: SparkplugOptions, context: SourceContext, globs: str) -> AsyncIterator[Found]:
    from drivers.sparkplug.browse import browse as listen

    return listen(options, context, globs)


def plan(options: SparkplugOptions, tags: Sequence[Tag]) -> Load:
    from drivers.sparkplug.plan import plan as load

    return load(options, tags)


plugin = SourcePlugin(
    name="sparkplug",
    options=SparkplugOptions,
    tag=SparkplugTag,
    build=build,
    browse=browse,
    plan=plan,
    claim=claim,
    schemes=("mqtt", "mqtts"),
)
