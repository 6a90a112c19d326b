"""Options of the replay driver, and which column a tag is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from gateway.contract import SourceOptions, TagOptions


class ReplayOptions(SourceOptions):
    """One recorded file."""

    replay: str = Field(description="file, .csv or .npz; a relative path is taken from the working directory")
    speed: float = Field(1.0, ge=0, le=1_000_000, description="1 = as recorded, 10 = ten times faster, 0 = as fast as it goes")
    time: str = Field("time", min_length=1, description="CSV: the column with the time")
    timezone: str = Field("UTC", description="CSV: of times without an offset, for example Europe/Berlin")
    when_full: Literal["drop_oldest", "block"] = Field("block", description="a recording can wait, so nothing of it needs to be dropped")

    @field_validator("replay")
    @classmethod
    def _file(cls, value: str) -> str:
        if Path(value).suffix.lower() not in (".csv", ".npz"):
            raise ValueError(f"{value!r} is no recording; it must end in .csv or .npz")
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as exc:
            raise ValueError(f"{value!r} is no time zone; write for example Europe/Berlin") from exc
        return value


class ReplayTag(TagOptions):
    """Where a tag lies in the file."""

    column: str | None = Field(None, description="column of a wide CSV, tag of a long CSV, array of an npz; default: the tag's own name")
