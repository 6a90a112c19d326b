"""One number written in bytes somewhere in the payload."""

from __future__ import annotations

from math import isfinite, nan

from drivers.mqtt.config import MqttTag
from drivers.mqtt.formats import one, size
from drivers.mqtt.gathered import Gathered
from drivers.mqtt.properties import user_properties, user_time
from drivers.mqtt.values import BAD_NOT_FINITE
from gateway.contract import GOOD, UNCERTAIN, Quality, Tag


class ScalarDecoder:
    """Its time is the user property's, else the arrival; then a retained one is uncertain."""

    def __init__(self, tag: Tag) -> None:
        options: MqttTag = tag.options
        assert options.format is not None  # noqa: S101  MqttTag checked it; this tells mypy
        self._index, self._at, self._read = tag.index, options.at_byte, one(options.format)
        self._end = self._at + size(options.format)

    def __call__(self, payload: bytes, retained: bool, properties: bytes, now_ns: int, into: Gathered) -> None:
        told = user_time(user_properties(properties))
        value, quality = nan, int(Quality.BAD_LENGTH)
        if len(payload) >= self._end:
            value = float(self._read(payload, self._at))
            quality = GOOD if isfinite(value) else BAD_NOT_FINITE
        if quality != GOOD:
            value = nan
        elif retained and told is None:
            quality = UNCERTAIN
        into.readings.append((self._index, now_ns if told is None else told, value, quality))
