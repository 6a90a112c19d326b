"""File drop: systems that can only write files."""

from __future__ import annotations

from pathlib import Path

from drivers.files.config import FilesOptions
from drivers.rows.options import RowRecord, RowTag
from gateway.contract import Source, SourceContext, SourcePlugin


def build(options: FilesOptions, context: SourceContext) -> Source:
    from drivers.files.source import FilesSource

    return FilesSource(options, context)


def claim(options: FilesOptions) -> tuple[str, str]:
    """Two that move files out of one folder would each get some of them."""
    return "files", f"folder {Path(options.files)}"


plugin = SourcePlugin(name="files", options=FilesOptions, tag=RowTag, record=RowRecord, build=build, claim=claim)
