"""Blocks of a fast channel: samples in bytes, channel by channel or interleaved, or a JSON array."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from drivers.mqtt.config import MqttTag
from drivers.mqtt.formats import Format, Header, many, size
from drivers.mqtt.gathered import Gathered
from drivers.mqtt.jsonpath import steps, walk
from drivers.mqtt.properties import user_properties, user_time
from drivers.mqtt.sequence import Sequence
from drivers.mqtt.times import to_ns
from drivers.mqtt.values import REFUSED
from gateway.contract import GOOD, Quality, Tag, Waveform

_NOTHING: NDArray[np.float32] = np.empty(0, dtype=np.float32)
_json = msgspec.json.Decoder()
BAD_LENGTH, BAD_FORMAT = int(Quality.BAD_LENGTH), int(Quality.BAD_FORMAT)


class Samples:
    """From raw numbers to float32[n] in engineering units of one channel, with a quality for the block."""

    def __init__(self, options: MqttTag) -> None:
        self._channel, self._channels, self._length = options.channel, options.channels, options.length
        self._scale, self._offset = options.scale, options.offset

    def of_bytes(self, payload: bytes, kind: Format) -> tuple[NDArray[np.float32], int]:
        """Of the wrong length it is empty."""
        count, left = divmod(len(payload), size(kind))
        return (_NOTHING, BAD_LENGTH) if left else self.of(many(kind, payload), count)

    def of(self, raw: NDArray[Any], count: int) -> tuple[NDArray[np.float32], int]:
        """With NaN or infinity in it, it is bad as a whole."""
        length, left = divmod(count, self._channels)
        if left or not length or (self._length is not None and length != self._length):
            return _NOTHING, BAD_LENGTH
        with np.errstate(over="ignore", invalid="ignore"):
            samples = raw[self._channel :: self._channels].astype(np.float32)
            if self._scale != 1:
                samples *= np.float32(self._scale)
            if self._offset:
                samples += np.float32(self._offset)
        return samples, GOOD if np.isfinite(samples).all() else int(Quality.BAD_NOT_FINITE)


class _Blocks:
    def __init__(self, tag: Tag) -> None:
        options: MqttTag = tag.options
        assert options.rate_hz is not None  # noqa: S101  MqttTag checked it; this tells mypy
        self._index, self._rate_hz = tag.index, options.rate_hz
        self._samples, self._sequence = Samples(options), Sequence()

    def _add(self, samples: NDArray[np.float32], quality: int, t_ns: int | None, number: object, now_ns: int, into: Gathered) -> None:
        missed = self._sequence.missed(number)
        if missed is None:
            return  # the same block again
        if t_ns is None:
            t_ns = now_ns - round(len(samples) / self._rate_hz * 1e9)
        dropped = missed * len(samples)
        into.blocks.append(Waveform(tag=self._index, t_ns=t_ns, rate_hz=self._rate_hz, samples=samples, quality=quality, dropped=dropped))


class WaveformDecoder(_Blocks):
    """The time of the first sample: the header's, else the user property's, else the arrival less what the block lasts."""

    def __init__(self, tag: Tag) -> None:
        super().__init__(tag)
        options: MqttTag = tag.options
        assert options.format is not None  # noqa: S101  MqttTag checked it; this tells mypy
        self._format, self._property = options.format, options.sequence or ""
        self._header = Header(options.header, options.format) if options.header else None

    def __call__(self, payload: bytes, retained: bool, properties: bytes, now_ns: int, into: Gathered) -> None:
        named = user_properties(properties)
        t_ns = user_time(named)
        number: object = named.get(self._property)
        if self._header is not None:
            if len(payload) >= self._header.size:
                told = self._header.read(payload)
                t_ns = t_ns if told.t_ns is None else told.t_ns
                number = number if told.sequence is None else told.sequence
            payload = payload[self._header.size :]
        samples, quality = self._samples.of_bytes(payload, self._format)
        self._add(samples, quality, t_ns, number, now_ns, into)


class JsonWaveformDecoder(_Blocks):
    """An array of numbers somewhere in a JSON document; the time of its first sample may stand there too."""

    def __init__(self, tag: Tag) -> None:
        super().__init__(tag)
        options: MqttTag = tag.options
        self._unit, self._values = options.time_unit, steps(options.values or "$")
        self._time = None if options.time is None else steps(options.time)
        self._number = None if options.sequence is None else steps(options.sequence)

    def __call__(self, payload: bytes, retained: bool, properties: bytes, now_ns: int, into: Gathered) -> None:
        try:
            document = _json.decode(payload)
            numbers = msgspec.convert(walk(document, self._values), list[float])
        except (*REFUSED, msgspec.ValidationError, OverflowError):
            self._add(_NOTHING, BAD_FORMAT, None, None, now_ns, into)
            return
        samples, quality = self._samples.of(np.array(numbers, dtype=np.float64), len(numbers))
        t_ns = user_time(user_properties(properties))
        if self._time is not None:
            t_ns = to_ns(walk(document, self._time), self._unit)
            if t_ns is None and quality == GOOD:
                quality = BAD_FORMAT
        self._add(samples, quality, t_ns, None if self._number is None else walk(document, self._number), now_ns, into)
