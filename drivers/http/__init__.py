"""HTTP ingest: systems that can only post."""

from __future__ import annotations

from drivers.http.config import HttpOptions
from drivers.rows.options import RowRecord, RowTag
from gateway.contract import Source, SourceContext, SourcePlugin


def build(options: HttpOptions, context: SourceContext) -> Source:
    from drivers.http.source import HttpSource

    return HttpSource(options, context)


plugin = SourcePlugin(name="http", options=HttpOptions, tag=RowTag, record=RowRecord, build=build, receives=True)
