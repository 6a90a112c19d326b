"""Options of the MQTT driver: the broker, and where in which message a value lies."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from drivers.mqtt.connection import Address, ConnectionOptions
from drivers.mqtt.jsonpath import steps
from drivers.mqtt.topics import check_filter
from gateway.contract import RecordOptions, TagOptions

TimeUnit: TypeAlias = Literal["s", "ms", "us", "ns"]
Format: TypeAlias = Literal["float32le", "int16le"]


def _path(text: str) -> str:
    steps(text)
    return text


JsonPath = Annotated[str, AfterValidator(_path)]
Topic = Annotated[str, AfterValidator(check_filter)]


class MqttOptions(ConnectionOptions):
    """One connection to one broker."""

    mqtt: Address = Field(description="mqtt://host[:1883] or, with TLS, mqtts://host[:8883]")
    qos: Literal[0, 1, 2] = 1

    @property
    def address(self) -> str:
        return self.mqtt


class MqttTag(TagOptions):
    """Where a value lies and what it is."""

    topic: Topic = Field(description="topic filter; + stands for one level, # at the end for all below")
    value: JsonPath | None = Field(None, description="where it is in a JSON payload: $.a.b, $.list[0]; default: the payload is the value")
    time: JsonPath | None = Field(None, description="where its time is in a JSON payload; default: the time it came")
    time_unit: TimeUnit | None = Field(None, description="of a time that is a number; default: told by its magnitude")
    quality: JsonPath | None = Field(None, description="where its quality is in a JSON payload; needs good")
    good: list[int | str | bool] = Field(default_factory=list, description="what the quality is when the value is good, for example [192]")
    optional: bool = Field(False, description="a message without this value says nothing of it; default: the reading is bad")
    states: dict[str, float] | None = Field(None, description="numbers for words: {RUN: 1, STOP: 0}")
    format: Format | None = Field(None, description="waveform: how a sample is written")
    rate_hz: float | None = Field(None, gt=0, description="waveform: samples per second")
    length: int | None = Field(None, ge=1, description="waveform: samples in a message; another number is bad")
    header: Literal["t_ns"] | None = Field(None, description="waveform: the payload begins with the time of its first sample, int64 ns")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.kind == "waveform":
            if self.format is None or self.rate_hz is None:
                raise ValueError("a waveform needs format and rate_hz")
            if self.value or self.time or self.quality or self.states:
                raise ValueError("a waveform is binary: value, time, quality and states are for JSON and text; its time is header: t_ns")
        elif self.format or self.rate_hz or self.length or self.header:
            raise ValueError("format, rate_hz, length and header are for kind: waveform")
        if (self.time or self.quality) and not self.value:
            raise ValueError("time and quality are paths into a JSON payload; write value too, for example value: $.v")
        if bool(self.quality) != bool(self.good):
            raise ValueError("quality needs good, and good needs quality")
        return self


class MqttRecord(RecordOptions):
    """Business messages: each payload is one JSON object."""

    topic: Topic = Field(description="topic filter; + stands for one level, # at the end for all below")
    time: JsonPath | None = Field(None, description="where its time is in the payload; default: the time it came")
    time_unit: TimeUnit | None = Field(None, description="of a time that is a number; default: told by its magnitude")
