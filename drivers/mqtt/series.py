"""An array of values in a JSON document, one after another in time: a reading for each."""

from __future__ import annotations

from math import nan

import msgspec

from drivers.mqtt.config import MqttTag
from drivers.mqtt.gathered import Gathered
from drivers.mqtt.jsonpath import steps, walk
from drivers.mqtt.times import LARGEST, to_ns
from drivers.mqtt.values import BAD_FORMAT, REFUSED, number
from gateway.contract import GOOD, UNCERTAIN, Quality, Tag

MOST_VALUES = 100_000
_json = msgspec.json.Decoder()


class SeriesDecoder:
    """The time of the first value stands in the document, else the last one came just now."""

    def __init__(self, tag: Tag) -> None:
        options: MqttTag = tag.options
        assert options.values is not None and options.step is not None  # noqa: S101, PT018  MqttTag checked it; this tells mypy
        self._index, self._states, self._unit = tag.index, options.states, options.time_unit
        self._values, self._step_ns = steps(options.values), round(options.step * 1e9)
        self._time = None if options.time is None else steps(options.time)
        self._optional = options.optional

    def __call__(self, payload: bytes, retained: bool, properties: bytes, now_ns: int, into: Gathered) -> None:
        try:
            document = _json.decode(payload)
        except REFUSED:
            document = None
        found = walk(document, self._values)
        t_ns = now_ns if self._time is None else to_ns(walk(document, self._time), self._unit)
        if not isinstance(found, list) or t_ns is None:
            if not (self._optional and isinstance(document, dict) and not isinstance(found, list)):
                into.readings.append((self._index, now_ns, nan, BAD_FORMAT))
            return
        if len(found) > MOST_VALUES:
            into.readings.append((self._index, now_ns, nan, int(Quality.BAD_LENGTH)))
            return
        if self._time is None:
            t_ns -= self._step_ns * (len(found) - 1)
        for raw in found:
            value, quality = number(raw, self._states)
            doubtful = retained and self._time is None and quality == GOOD
            into.readings.append((self._index, t_ns, value, UNCERTAIN if doubtful else quality))
            t_ns = min(t_ns + self._step_ns, LARGEST)
