"""Options of the Sparkplug driver: the broker, whose metrics, and where in a metric a value lies."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from drivers.broker.connection import Address, ConnectionOptions
from drivers.broker.topics import fill
from gateway.contract import Duration, Tag, TagOptions


def _level(*names: str) -> AfterValidator:
    """One level of a topic."""

    def check(text: str) -> str:
        filled = fill(text, **dict.fromkeys(names, "x"))
        if not filled or any(sign in filled for sign in "/+#\0"):
            raise ValueError(f"{text!r}: an id of Sparkplug is one level of a topic, without / + #")
        return text

    return AfterValidator(check)


def _name(text: str) -> str:
    fill(text, machine="x", tag="x")
    return text


Id = Annotated[str, _level("machine", "tag")]
HostId = Annotated[str, _level("machine")]
Metric = Annotated[str, Field(min_length=1), AfterValidator(_name)]


class SparkplugOptions(ConnectionOptions):
    """One connection to one broker, as one host application."""

    sparkplug: Address = Field(description="mqtt://host[:1883] or, with TLS, mqtts://host[:8883]")
    group: Id | None = Field(None, description="group id of every tag without one; {machine} and {tag} stand for their names")
    node: Id | None = Field(None, description="edge node id of every tag without one; {machine} and {tag} stand for their names")
    device: Id | None = Field(None, description="device id of every tag without one; default: metrics of the node itself")
    metric: Metric = Field("{tag}", description="metric name of every tag without one; {machine} and {tag} stand for their names")
    host_id: HostId = Field("lineside-{machine}", description="what edge nodes know us by as their primary host")
    qos: Literal[0, 1] = 1
    rebirth_every: Duration = Field("30s", ge=1, le=3600, description="an edge node is asked for its births at most this often")  # type: ignore[assignment]
    sequence_wait: Duration = Field("500ms", le=10, description="how long a message that overtook others waits for them")  # type: ignore[assignment]

    @property
    def address(self) -> str:
        return self.sparkplug


class SparkplugTag(TagOptions):
    """Which metric a tag is, and which part of it."""

    group: Id | None = Field(None, description="group id; default: that of the source")
    node: Id | None = Field(None, description="edge node id; default: that of the source")
    device: Id | Literal[""] | None = Field(None, description='device id; default: that of the source; "": a metric of the node itself')
    metric: Metric | None = Field(None, description="metric name; {machine} and {tag} stand for their names")
    member: str | None = Field(None, min_length=1, description="of a template: which of its metrics, A/B where templates are nested")
    column: str | None = Field(None, min_length=1, description="of a data set: which column")
    row: int | str = Field(0, description="of a data set: from 0, from the end -1, or the text in its first column")
    element: int | None = Field(None, ge=0, description="of an array: which element, from 0")
    rate_hz: float | None = Field(None, gt=0, description="waveform: the metric is an array, with so many samples per second")
    states: dict[str, float] | None = Field(None, description="numbers for words: {RUN: 1, STOP: 0}")

    @field_validator("group", "node")
    @classmethod
    def _given_here_or_there(cls, value: str | None, info: ValidationInfo) -> str | None:
        name = str(info.field_name)
        if value is None and info.context is not None and getattr(info.context["source"], name) is None:
            raise ValueError(f"a tag needs a {name}; or write one for all tags at the source, for example {name}: press-1")
        return value

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if (self.kind == "waveform") != (self.rate_hz is not None):
            raise ValueError("a waveform needs rate_hz, and rate_hz is for kind: waveform")
        if "row" in self.model_fields_set and self.column is None:
            raise ValueError("row needs column")
        if self.kind == "waveform" and (self.element is not None or self.column or self.states):
            raise ValueError("a waveform has no element, column and states: its samples are a block")
        if self.element is not None and self.column:
            raise ValueError("a value is an element of an array or a cell of a data set, not both")
        return self


class Place(NamedTuple):
    """Whose metric: `device` is empty for one of the edge node itself."""

    group: str
    node: str
    device: str
    metric: str


def place(tag: Tag, options: SparkplugOptions) -> Place:
    """Where a tag's metric is; raises ValueError for one without group or node, and for ids that names make impossible."""
    own: SparkplugTag = tag.options
    names = {"machine": tag.machine, "tag": tag.name}
    group, node = own.group or options.group, own.node or options.node
    if group is None or node is None:
        raise ValueError(f"tag {tag.path} has no group and node, and the source has none for all")
    device = options.device if own.device is None else own.device
    ids = (group, node, device or "", own.metric or options.metric)
    return Place(*(fill(each, **names) for each in ids))
