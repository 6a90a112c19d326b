"""A recorded file, played again."""

from __future__ import annotations

from drivers.replay.config import ReplayOptions, ReplayTag
from gateway.contract import Source, SourceContext, SourcePlugin


def build(options: ReplayOptions, context: SourceContext) -> Source:
    from drivers.replay.source import ReplaySource

    return ReplaySource(options, context)


plugin = SourcePlugin(name="replay", options=ReplayOptions, tag=ReplayTag, build=build)
