"""Options of whatever reads rows: how they are written, and where in them a value lies."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from drivers.rows.places import steps
from drivers.rows.times import TimeUnit, check_format
from drivers.rows.values import Decimals
from gateway.contract import Duration, RecordOptions, SourceOptions, TagOptions


def _place(text: str) -> str:
    steps(text)
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise ValueError(f"{name!r} is no time zone; write for example Europe/Berlin") from exc
    return name


def _format(text: str) -> str:
    check_format(text)
    return text


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str | int | float | bool) else value


Place = Annotated[str, AfterValidator(_place)]
Places = Annotated[list[Place], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str]), Field(min_length=1, max_length=4)]
Scalar = str | int | float | bool
OneOf = Annotated[
    list[Scalar], BeforeValidator(_one_or_many, json_schema_input_type=str | int | float | bool | list[Scalar]), Field(min_length=1)
]
Match = Annotated[dict[Place, OneOf], Field(min_length=1)]
Delimiter = Literal["auto", ",", ";", "|", "tab"]


class RowOptions(SourceOptions):
    """How rows are written."""

    rows: Place | None = Field(
        None, description="JSON: where in the document the list of rows is; default: the document is the list, or one row"
    )
    time: Places | None = Field(None, description="where a row's time is, a column or path; two are joined (date and time of day)")
    time_unit: TimeUnit | None = Field(None, description="of a time that is a number; default: told by its magnitude")
    time_format: Annotated[str, AfterValidator(_format)] | None = Field(
        None,
        description="of a time that is a text, for example %d.%m.%Y %H:%M:%S; default: ISO 8601. "
        "One of digits only, such as %Y%m%d%H%M%S, is that of a number, too, unless there is a time_unit",
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="of times without an offset, for example Europe/Berlin")
    delimiter: Delimiter = Field("auto", description="CSV: what stands between two cells; auto: what the header has most of")
    decimal: Decimals = Field(".", description="decimal sign of numbers that are text")
    unmatched: Literal["refuse", "ignore"] = Field(
        "refuse", description="a row that no tag and no record takes: a fault of the sender, or nothing"
    )
    when_full: Literal["drop_oldest", "block"] = Field("block", description="the sender can wait, so nothing needs to be dropped")
    silent_after: Duration | None = Field(None, description="no row for this long is an incident; null = never: an office sleeps at night")


class RowTag(TagOptions):
    """Where in a row the value of a tag lies."""

    value: Place | None = Field(None, description="column, field or path: Temp, $.press.load; default: the tag's own name")
    match: Match | None = Field(None, description="only of rows in which these places hold one of these: {$.type: [kpi, oee]}")
    time: Places | None = Field(None, description="where its time is, if not where the source says")
    time_unit: TimeUnit | None = Field(None, description="of a time that is a number, if not as the source says")
    states: dict[str, float] | None = Field(None, description="numbers for words: {RUN: 1, STOP: 0}")

    @model_validator(mode="after")
    def _single(self) -> Self:
        if self.kind == "waveform":
            raise ValueError("a row holds one value; waveforms come by mqtt, iio or replay")
        return self


class RowRecord(RecordOptions):
    """Business messages: a row, whole. Cells of a CSV stay text but for `numbers`."""

    match: Match | None = Field(None, description="only rows in which these places hold one of these: {$.type: step}; default: every row")
    time: Places | None = Field(None, description="where its time is, if not where the source says")
    time_unit: TimeUnit | None = Field(None, description="of a time that is a number, if not as the source says")
    numbers: list[str] = Field(
        default_factory=list, description="CSV: columns that are numbers in the message; 004711 stays text otherwise"
    )
