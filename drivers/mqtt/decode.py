"""From payloads to readings, blocks and records: one decoder compiled for each topic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from drivers.mqtt.config import MqttRecord, MqttTag
from drivers.mqtt.formats import TEXT
from drivers.mqtt.gathered import BAD_DEVICE, Decoder, Gathered
from drivers.mqtt.jsonpath import MISSING, Steps, steps, walk
from drivers.mqtt.rows import CsvDecoder
from drivers.mqtt.scalar import ScalarDecoder
from drivers.mqtt.series import SeriesDecoder
from drivers.mqtt.times import TimeUnit, to_ns
from drivers.mqtt.values import BAD_FORMAT, REFUSED, lenient, number, plain
from drivers.mqtt.waveform import JsonWaveformDecoder, WaveformDecoder
from gateway.contract import BAD, GOOD, UNCERTAIN, Record, RecordSpec, Tag

_json = msgspec.json.Decoder()


def compile_decoders(tags: Sequence[Tag], records: Sequence[RecordSpec]) -> list[Decoder]:
    """For the tags and records of one topic: the JSON of those with a path is parsed once for all of them."""
    in_json = [tag for tag in tags if tag.options.value is not None]
    decoders: list[Decoder] = [_decoder(tag) for tag in tags if tag.options.value is None and tag.options.kind != "waveform"]
    if in_json:
        decoders.append(_Json(in_json))
    decoders += [_decoder(tag) for tag in tags if tag.options.kind == "waveform"]
    decoders += [_Record(record) for record in records]
    return decoders


def is_binary(tag: Tag) -> bool:
    """True if any bytes may be its payload."""
    return tag.options.format is not None and tag.options.format not in TEXT


def _decoder(tag: Tag) -> Decoder:
    options: MqttTag = tag.options
    if options.kind == "waveform":
        return JsonWaveformDecoder(tag) if options.format == "json" else WaveformDecoder(tag)
    if options.values is not None:
        return SeriesDecoder(tag)
    if options.format == "csv":
        return CsvDecoder(tag)
    return _Text(tag) if options.format is None else ScalarDecoder(tag)


class _Text:
    """The payload is the value. A retained one is as old as nobody knows: uncertain."""

    def __init__(self, tag: Tag) -> None:
        self._index, self._states = tag.index, tag.options.states

    def __call__(self, payload: bytes, retained: bool, properties: bytes, now_ns: int, into: Gathered) -> None:
        value, quality = plain(payload, self._states)
        into.readings.append((self._index, now_ns, value, UNCERTAIN if retained and quality == GOOD else quality))


class _Place(NamedTuple):
    """One tag: its index, and which of the values a document gives are its parts; -1: not configured."""

    tag: int
    value: int
    time: int
    unit: TimeUnit | None
    quality: int
    good: list[int | str | bool]
    states: dict[str, float] | None
    optional: bool


class _Json:
    """Several tags out of one JSON document."""

    def __init__(self, tags: Sequence[Tag]) -> None:
        paths: list[Steps] = []

        def position(path: str | None) -> int:
            if path is None:
                return -1
            found = steps(path)
            if found not in paths:
                paths.append(found)
            return paths.index(found)

        def place(index: int, o: MqttTag) -> _Place:
            value, time, quality = position(o.value), position(o.time), position(o.quality)
            return _Place(index, value, time, o.time_unit, quality, o.good, o.states, o.optional)

        self._places = [place(tag.index, tag.options) for tag in tags]
        self._paths = tuple(paths)
        self._read = _reader(self._paths)

    def __call__(self, payload: bytes, retained: bool, properties: bytes, now_ns: int, into: Gathered) -> None:
        finite: Any = float  # msgspec refuses those that are not
        try:
            values = self._read(payload)
        except REFUSED:
            finite = None
            document = lenient(payload)
            if document is MISSING:
                for place in self._places:
                    into.readings.append((place.tag, now_ns, nan, BAD_FORMAT))
                return
            values = tuple([walk(document, path) for path in self._paths])
        for tag, at_value, at_time, unit, at_quality, good, states, optional in self._places:
            raw = values[at_value]
            value, quality = (raw, GOOD) if raw.__class__ is finite else number(raw, states)
            if raw is MISSING and optional:
                continue
            t_ns = now_ns
            if at_time >= 0:
                told = to_ns(values[at_time], unit)
                if told is not None:
                    t_ns = told
                elif quality < BAD:
                    value, quality = nan, BAD_FORMAT
            elif retained and quality == GOOD:
                quality = UNCERTAIN
            if at_quality >= 0 and quality < BAD and values[at_quality] not in good:
                value, quality = nan, BAD_DEVICE
            into.readings.append((tag, t_ns, value, quality))


def _reader(paths: Sequence[Steps]) -> Callable[[bytes], tuple[Any, ...]]:
    """Raises what msgspec does. Names of the top level are read by a struct that leaves everything else unread."""
    names = [path[0] for path in paths if len(path) == 1 and isinstance(path[0], str)]
    if len(names) == len(paths) and all(name.isprintable() and not set(name) & set('"\\') for name in names):
        fields = [f"f{i}" for i in range(len(names))]
        shape = msgspec.defstruct("Payload", [(f, Any, MISSING) for f in fields], rename=dict(zip(fields, names, strict=True)), gc=False)
        decode = msgspec.json.Decoder(shape).decode
        get = attrgetter(*fields)
        return (lambda payload: get(decode(payload))) if len(fields) > 1 else (lambda payload: (get(decode(payload)),))

    def deep(payload: bytes) -> tuple[Any, ...]:
        document = _json.decode(payload)
        return tuple([walk(document, path) for path in paths])

    return deep


class _Record:
    """A business message: a JSON object, whole."""

    def __init__(self, record: RecordSpec) -> None:
        options: MqttRecord = record.options
        self._source, self._unit = record.path, options.time_unit
        self._time = None if options.time is None else steps(options.time)

    def __call__(self, payload: bytes, retained: bool, properties: bytes, now_ns: int, into: Gathered) -> None:
        try:
            document = _json.decode(payload)
        except REFUSED:
            document = None
        if not isinstance(document, dict):
            into.lose("record_format")
            return
        t_ns = now_ns if self._time is None else to_ns(walk(document, self._time), self._unit)
        if t_ns is None:
            into.lose("record_time")
            return
        into.records.append(Record(source=self._source, t_ns=t_ns, fields=document))
