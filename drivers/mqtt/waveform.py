"""Binary blocks of a fast channel: samples one after another, little endian."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import MQTTException, Properties, VariableByteIntegers

from drivers.mqtt.config import Format, MqttTag
from drivers.mqtt.decode import Gathered
from drivers.mqtt.times import to_ns
from gateway.contract import GOOD, Quality, Tag, Waveform

_DTYPES: dict[Format, np.dtype[np.float32] | np.dtype[np.int16]] = {"float32le": np.dtype("<f4"), "int16le": np.dtype("<i2")}
_HEADER = struct.Struct("<q")
_NOTHING: NDArray[np.float32] = np.empty(0, dtype=np.float32)


def samples_of(payload: bytes, kind: Format, length: int | None, scale: float, offset: float) -> tuple[NDArray[np.float32], int]:
    """(float32[n] in engineering units, quality): of the wrong length it is empty, with NaN or infinity in it bad as a whole."""
    dtype = _DTYPES[kind]
    count, left = divmod(len(payload), dtype.itemsize)
    if left or not count or (length is not None and count != length):
        return _NOTHING, int(Quality.BAD_LENGTH)
    samples = np.frombuffer(payload, dtype=dtype).astype(np.float32)
    if scale != 1:
        samples *= np.float32(scale)
    if offset:
        samples += np.float32(offset)
    return samples, GOOD if np.isfinite(samples).all() else int(Quality.BAD_NOT_FINITE)


def user_time(properties: bytes) -> int | None:
    """Nanoseconds from the user property ``t_ns`` of MQTT 5, or None."""
    if not properties:
        return None
    found = Properties(PacketTypes.PUBLISH)
    try:
        found.unpack(VariableByteIntegers.encode(len(properties)) + properties)
    except (MQTTException, ValueError, IndexError, KeyError, struct.error):
        return None
    return next((to_ns(text, "ns") for name, text in getattr(found, "UserProperty", []) if name == "t_ns"), None)


class WaveformDecoder:
    """The time of the first sample: the header's, else the user property's, else the arrival less what the block lasts."""

    def __init__(self, tag: Tag) -> None:
        options: MqttTag = tag.options
        assert options.format is not None and options.rate_hz is not None  # noqa: S101, PT018  MqttTag checked it; this tells mypy
        self._index, self._format, self._rate_hz = tag.index, options.format, options.rate_hz
        self._length, self._scale, self._offset = options.length, options.scale, options.offset
        self._headed = options.header is not None

    def __call__(self, payload: bytes, retained: bool, properties: bytes, now_ns: int, into: Gathered) -> None:
        told = user_time(properties)
        if self._headed:
            if len(payload) >= _HEADER.size:
                told = _HEADER.unpack_from(payload)[0]
            payload = payload[_HEADER.size :]
        samples, quality = samples_of(payload, self._format, self._length, self._scale, self._offset)
        t_ns = now_ns - round(len(samples) / self._rate_hz * 1e9) if told is None else told
        into.blocks.append(Waveform(tag=self._index, t_ns=t_ns, rate_hz=self._rate_hz, samples=samples, quality=quality))
