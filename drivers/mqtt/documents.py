"""Values out of JSON documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from drivers.mqtt.config import MqttTag
from drivers.mqtt.gathered import BAD_DEVICE, Decoder, Gathered
from drivers.mqtt.jsonpath import MISSING, Steps, steps, walk
from drivers.mqtt.times import TimeUnit, to_ns
from drivers.mqtt.values import BAD_FORMAT, REFUSED, lenient, number
from gateway.contract import BAD, GOOD, UNCERTAIN, Tag

_json = msgspec.json.Decoder()


def json_decoder(tags: Sequence[Tag]) -> Decoder:
    """For the tags of one topic with a path to their value."""
    general = JsonDecoder(tags)
    options: MqttTag = tags[0].options
    if len(tags) > 1 or options.value is None or options.time is None or options.time_unit or options.quality:
        return general
    paths = [steps(options.value), steps(options.time)]
    return _usual(tags[0].index, paths, general) if _flat(paths) and paths[0] != paths[1] else general


def _usual(tag: int, paths: Sequence[Steps], general: Decoder) -> Decoder:
    """One number and its time in ms or µs at the top of the document: half of the time. Everything else is left to `general`."""
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(_shape(paths)).decode

    def decoder(payload: bytes, retained: bool, properties: bytes, now_ns: int, into: Gathered) -> None:
        try:
            document = decode(payload)
        except REFUSED:
            return general(payload, retained, properties, now_ns, into)
        value, told = document.f0, document.f1
        if value.__class__ is float and told.__class__ is int and 100_000_000_000 <= told < 100_000_000_000_000_000:
            into.readings.append((tag, told * (1_000_000 if told < 100_000_000_000_000 else 1_000), value, GOOD))
            return None
        return general(payload, retained, properties, now_ns, into)

    return decoder


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


class JsonDecoder:
    """Several tags out of one JSON document; it is parsed once for all of them."""

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


def _flat(paths: Sequence[Steps]) -> bool:
    """True if all are names of the top level that can be fields of a struct."""
    names = [path[0] for path in paths if len(path) == 1 and isinstance(path[0], str)]
    return len(names) == len(paths) and all(name.isprintable() and not set(name) & set('"\\') for name in names)


def _shape(paths: Sequence[Steps]) -> type:
    """A struct with the fields f0, f1, ... that leaves everything else unread."""
    names = {f"f{i}": str(path[0]) for i, path in enumerate(paths)}
    return msgspec.defstruct("Payload", [(name, Any, MISSING) for name in names], rename=names, gc=False)


def _reader(paths: Sequence[Steps]) -> Callable[[bytes], tuple[Any, ...]]:
    """Raises what msgspec does."""
    if _flat(paths):
        decode: Callable[[bytes], Any] = msgspec.json.Decoder(_shape(paths)).decode
        get = attrgetter(*(f"f{i}" for i in range(len(paths))))
        return (lambda payload: get(decode(payload))) if len(paths) > 1 else (lambda payload: (get(decode(payload)),))

    def deep(payload: bytes) -> tuple[Any, ...]:
        document = _json.decode(payload)
        return tuple([walk(document, path) for path in paths])

    return deep
