"""Options of the MQTT driver: the broker, and where in which message a value lies."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from drivers.broker.connection import Address, ConnectionOptions
from drivers.broker.topics import check_filter, fill, is_wide
from drivers.mqtt.formats import TEXT, Format, HeaderField
from drivers.mqtt.jsonpath import steps
from drivers.mqtt.times import TimeUnit
from gateway.contract import Duration, RecordOptions, StrictModel, TagOptions


def _path(text: str) -> str:
    steps(text)
    return text


def _template(*names: str) -> AfterValidator:
    def check(text: str) -> str:
        check_filter(fill(text, **dict.fromkeys(names, "x")))
        return text

    return AfterValidator(check)


JsonPath = Annotated[str, AfterValidator(_path)]
TagTopic = Annotated[str, _template("machine", "tag")]
RecordTopic = Annotated[str, _template("machine", "record")]
Column: TypeAlias = Annotated[int, Field(ge=1, le=10_000)] | Annotated[str, Field(min_length=1)]
OneOrMany = BeforeValidator(lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=str | list[str])


class Birth(StrictModel):
    """Where a device says that it is there, and its will that it is not; retained, so that it is heard at once."""

    topic: Annotated[str, _template("machine")] = Field(description="one topic, without + and #; {machine} stands for the machine's name")
    online: str = "online"
    offline: str = "offline"
    value: JsonPath | None = Field(None, description="where the word is in a JSON payload; default: the payload is the word")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if is_wide(self.topic):
            raise ValueError(f"{self.topic!r}: a birth topic is one topic, without + and #")
        if self.online == self.offline:
            raise ValueError("online and offline are the same word")
        return self


class MqttOptions(ConnectionOptions):
    """One connection to one broker."""

    mqtt: Address = Field(description="mqtt://host[:1883] or, with TLS, mqtts://host[:8883]")
    topic: TagTopic | None = Field(None, description="of every tag without one; {machine} and {tag} stand for their names")
    qos: Literal[0, 1, 2] = 1
    session: Literal["keep", "clean"] | None = Field(
        None, description="whether the broker keeps messages for us while we are away; default: keep where there are records"
    )
    share: str | None = Field(
        None, pattern=r"^[^/+#\s]{1,200}$", description="group of gateways that share the messages: each is given to one; version 5"
    )
    compression: Literal["auto", "gzip", "none"] = Field(
        "auto", description="auto: gzip where the content type says so, and JSON and text that begin like it; gzip: all payloads are"
    )
    birth: Birth | None = Field(None, description="where the device says whether it is there; while it is not, its tags are bad")

    @field_validator("share")
    @classmethod
    def _no_old_version(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and info.data.get("version") == "3.1.1":
            raise ValueError("share needs version 5")
        return value

    @property
    def address(self) -> str:
        return self.mqtt


class MqttTag(TagOptions):
    """Where a value lies and what it is."""

    topic: TagTopic | None = Field(
        None, description="topic filter; + stands for one level, # at the end for all below, {machine} and {tag} for their names"
    )
    value: JsonPath | None = Field(None, description="where it is in a JSON payload: $.a.b, $.list[0]; default: the payload is the value")
    values: JsonPath | None = Field(None, description="where an array of values is in a JSON payload; needs step, or kind: waveform")
    step: Duration | None = Field(None, gt=0, description="time from one of values to the next; a reading for each")
    time: JsonPath | None = Field(None, description="where its time, of values the first's, is in a JSON payload; default: when it came")
    time_unit: TimeUnit | None = Field(None, description="of a time that is a number; default: told by its magnitude")
    quality: JsonPath | None = Field(None, description="where its quality is in a JSON payload; needs good")
    good: list[int | str | bool] = Field(default_factory=list, description="what the quality is when the value is good, for example [192]")
    optional: bool = Field(False, description="a message without this value says nothing of it; default: the reading is bad")
    states: dict[str, float] | None = Field(None, description="numbers for words: {RUN: 1, STOP: 0}")
    format: Format | None = Field(None, description="how a payload that is no JSON is written; of a waveform: how a sample is, or json")
    at_byte: int = Field(0, ge=0, description="binary: where the number begins, from 0")
    column: Column | None = Field(None, description="csv: which column, from 1, or its name in the first line")
    time_column: Column | None = Field(None, description="csv: where the time is; default: when it came")
    separator: str = Field(",", min_length=1, max_length=1, description="csv: between columns; with ; a comma is a decimal point")
    rate_hz: float | None = Field(None, gt=0, description="waveform: samples per second")
    length: int | None = Field(None, ge=1, description="waveform: samples in a message, of one channel; another number is bad")
    channels: int = Field(1, ge=1, le=1024, description="waveform: how many are interleaved")
    channel: int = Field(0, ge=0, description="waveform: which of them, from 0")
    header: Annotated[list[HeaderField], OneOrMany] = Field(
        default_factory=list,
        description="waveform: what stands before the samples: t_ns, t_us, t_ms (int64), t_s (float64), sequence (uint32)",
    )
    sequence: str | None = Field(None, description="waveform: user property with the sender's count of blocks; of json: its path")

    @field_validator("topic")
    @classmethod
    def _given_here_or_there(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.context is not None and info.context["source"].topic is None:
            raise ValueError("a tag needs a topic; or write one for all tags at the source, for example topic: plant/{machine}/{tag}")
        return value

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if problem := _waveform(self) if self.kind == "waveform" else _gauge(self):
            raise ValueError(problem)
        if bool(self.quality) != bool(self.good):
            raise ValueError("quality needs good, and good needs quality")
        return self


def _waveform(tag: MqttTag) -> str:
    json, headed = tag.format == "json", [name for name in tag.header if name.startswith("t_")]
    if tag.format is None or tag.format == "csv" or tag.rate_hz is None:
        return "a waveform needs format and rate_hz"
    if tag.value or tag.quality or tag.states or tag.step or tag.column:
        return "a waveform has no value, quality, states, step and column: its samples are a block"
    if not json and (tag.values or tag.time):
        return "values and time are paths into JSON; a binary waveform has its time in header: t_ns"
    if json and (tag.header or (tag.sequence or "$")[0] != "$"):
        return "a waveform in JSON has no header; write time: $.t0 and sequence: $.n"
    if len(headed) > 1 or tag.header.count("sequence") > 1:
        return "header has one time and one sequence at most"
    return "" if tag.channel < tag.channels else f"channel is from 0 to {tag.channels - 1}"


def _gauge(tag: MqttTag) -> str:
    given = tag.model_fields_set
    if given & {"rate_hz", "length", "header", "channels", "channel", "sequence"} or tag.format == "json":
        return "rate_hz, length, header, channels, channel, sequence and format: json are for kind: waveform"
    if tag.format is not None and (tag.value or tag.values or tag.time or tag.quality):
        return "value, values, time and quality are paths into JSON; leave format out"
    if (tag.format == "csv") != (tag.column is not None) or (tag.time_column and tag.format != "csv"):
        return "format: csv needs column, and columns need format: csv"
    if tag.at_byte and (tag.format is None or tag.format in TEXT):
        return "at_byte is for a number in bytes, for example format: float32le"
    if (tag.values is None) != (tag.step is None) or (tag.values and (tag.value or tag.quality)):
        return "values needs step, and has neither value nor quality"
    if (tag.time or tag.quality) and not (tag.value or tag.values):
        return "time and quality are paths into a JSON payload; write value too, for example value: $.v"
    return ""


class MqttRecord(RecordOptions):
    """Business messages: each payload is one JSON object."""

    topic: RecordTopic = Field(
        description="topic filter; + stands for one level, # at the end for all below, {machine} and {record} for their names"
    )
    time: JsonPath | None = Field(None, description="where its time is in the payload; default: the time it came")
    time_unit: TimeUnit | None = Field(None, description="of a time that is a number; default: told by its magnitude")


def topic_of(template: Any, **names: str) -> str:
    """The topic filter a template is for these names; raises ValueError."""
    return check_filter(fill(str(template), **names))
