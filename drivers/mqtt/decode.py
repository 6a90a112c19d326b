"""From payloads to readings, blocks and records: one decoder compiled for each topic."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from drivers.mqtt.config import MqttRecord, MqttTag
from drivers.mqtt.documents import json_decoder
from drivers.mqtt.formats import TEXT
from drivers.mqtt.gathered import Decoder, Gathered
from drivers.mqtt.jsonpath import steps, walk
from drivers.mqtt.rows import CsvDecoder
from drivers.mqtt.scalar import ScalarDecoder
from drivers.mqtt.series import SeriesDecoder
from drivers.mqtt.times import to_ns
from drivers.mqtt.values import REFUSED, plain
from drivers.mqtt.waveform import JsonWaveformDecoder, WaveformDecoder
from gateway.contract import GOOD, UNCERTAIN, Record, RecordSpec, Tag

_json = msgspec.json.Decoder()


def compile_decoders(tags: Sequence[Tag], records: Sequence[RecordSpec]) -> list[Decoder]:
    """For the tags and records of one topic: the JSON of those with a path is parsed once for all of them."""
    in_json = [tag for tag in tags if tag.options.value is not None]
    decoders: list[Decoder] = [_decoder(tag) for tag in tags if tag.options.value is None and tag.options.kind != "waveform"]
    if in_json:
        decoders.append(json_decoder(in_json))
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
