"""Options of the file drop."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import Field, field_validator

from drivers.rows.options import RowOptions
from gateway.contract import Duration

Form: TypeAlias = Literal["csv", "json", "ndjson"]
_SUFFIXES: dict[str, Form] = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson"}


class FilesOptions(RowOptions):
    """One folder. Files that were taken are moved to its ``done``, others to its ``failed``."""

    files: str = Field(description="the folder, an absolute path; the gateway must be allowed to write there, for it moves files")
    pattern: str = Field("*", min_length=1, description="which files: *.csv; names that begin with a dot are never looked at")
    format: Form | None = Field(None, description="default: by the end of the name (.csv .txt .tsv, .json, .ndjson .jsonl)")
    encoding: Literal["utf-8", "cp1252", "iso-8859-1", "utf-16"] = Field(
        "utf-8", description="of the text; a file with a BOM is read as that says"
    )
    settle: Duration = Field("2s", le=3600, description="a file whose size and time have not changed for this long is complete")  # type: ignore[assignment]
    marker: str | None = Field(None, pattern=r"^\.[\w.-]+$", description="instead: x.csv is complete when x.csv.done is there, for .done")
    order: Literal["name", "mtime"] = Field("name", description="which file comes first")
    poll_seconds: float = Field(1.0, ge=0.01, le=3600, description="how often the folder is looked at")
    keep_days: int | None = Field(30, ge=0, description="in done; null = for ever. Files in failed are never deleted")

    @field_validator("files")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if not Path(value).is_absolute():
            raise ValueError(f"{value!r} is no absolute path; write for example /var/spool/mes")
        return value

    def form(self, name: str) -> Form | None:
        """None: neither the configuration nor the name says what it is."""
        return self.format or _SUFFIXES.get(Path(name).suffix.lower())
