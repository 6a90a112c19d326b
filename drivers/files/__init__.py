"""File drop: systems that can only write files."""

from __future__ import annotations

from drivers.files.config import FilesOptions
from drivers.rows.options import RowRecord, RowTag
from gateway.contract import Source, SourceContext, SourcePlugin


def build(options: FilesOptions, context: SourceContext) -> Source:
    from drivers.files.source import FilesSource

    return FilesSource(options, context)


plugin = SourcePlugin(name="files", options=FilesOptions, tag=RowTag, record=RowRecord, build=build)
