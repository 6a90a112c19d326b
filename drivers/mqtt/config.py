"""Options of the MQTT driver: the broker, and where in which message a value lies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from drivers.mqtt.jsonpath import steps
from drivers.mqtt.topics import check_filter
from gateway.contract import Duration, RecordOptions, SecretRef, SourceOptions, TagOptions

TimeUnit: TypeAlias = Literal["s", "ms", "us", "ns"]
Format: TypeAlias = Literal["float32le", "int16le"]


def _path(text: str) -> str:
    steps(text)
    return text


JsonPath = Annotated[str, AfterValidator(_path)]
Topic = Annotated[str, AfterValidator(check_filter)]
Version = Annotated[
    Literal["3.1.1", "5"],
    BeforeValidator(lambda value: str(value) if isinstance(value, int) else value, json_schema_input_type=Literal["3.1.1", "5", 5]),
]


class MqttOptions(SourceOptions):
    """One connection to one broker."""

    mqtt: str = Field(description="mqtt://host[:1883] or, with TLS, mqtts://host[:8883]")
    version: Version = Field("5", description="of the protocol: 5 or 3.1.1")
    client_id: str | None = Field(None, min_length=1, max_length=256, description="default: made once from the machine's name, and kept")
    user: str | None = None
    password: SecretRef | None = None
    ca: Path | None = Field(None, description="certificates (PEM) to trust beside none other; default: those of the system")
    certificate: Path | None = Field(None, description="our own certificate (PEM), where the broker asks for one")
    key: Path | None = Field(None, description="its key (PEM), if it is not in the same file")
    key_password: SecretRef | None = None
    qos: Literal[0, 1, 2] = 1
    keepalive: Duration = Field("30s", ge=1, le=65535)  # type: ignore[assignment]
    session_expiry: Duration = Field("1h", description="how long a broker of version 5 keeps messages for us while we are away")  # type: ignore[assignment]
    receive_maximum: int = Field(1000, ge=1, le=65535, description="version 5: messages the broker may send before we acknowledge")
    max_message_kilobytes: int = Field(1024, ge=1, le=262_143, description="larger messages are counted and left out")

    @field_validator("mqtt")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        parts = urlsplit(value)
        try:
            port = parts.port
        except ValueError as exc:
            raise ValueError(f"{value!r} has no valid port") from exc
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path not in ("", "/") or port == 0:
            raise ValueError(f"{value!r} is not supported; write mqtt://host, mqtt://host:port or mqtts://host")
        if parts.username or parts.password:
            raise ValueError("credentials do not belong into the address; write user: and password: {secret: NAME}")
        return value

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not self.tls and (self.ca or self.certificate or self.key or self.key_password):
            raise ValueError("certificates are used with mqtts:// only")
        if self.key and not self.certificate:
            raise ValueError("key needs certificate")
        if self.password and self.user is None:
            raise ValueError("password needs user")
        return self

    @property
    def tls(self) -> bool:
        return urlsplit(self.mqtt).scheme == "mqtts"

    @property
    def peer(self) -> tuple[str, int]:
        parts = urlsplit(self.mqtt)
        return parts.hostname or "", parts.port or (8883 if self.tls else 1883)


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
