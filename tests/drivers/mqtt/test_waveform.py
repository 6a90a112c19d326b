from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties, VariableByteIntegers

from drivers.mqtt.config import MqttTag
from drivers.mqtt.gathered import Gathered
from drivers.mqtt.properties import user_properties, user_time
from drivers.mqtt.waveform import WaveformDecoder
from gateway.contract import GOOD, Quality, Tag, Waveform

NOW = 1_800_000_000_000_000_000


def decode(payload: bytes, properties: bytes = b"", **options: Any) -> Waveform:
    given = {"topic": "t", "kind": "waveform", "format": "float32le", "rate_hz": 1000, "length": 4} | options
    into = Gathered()
    WaveformDecoder(Tag(3, "m", "w", MqttTag.model_validate(given)))(payload, False, properties, NOW, into)
    (block,) = into.blocks
    return block


def user_property(text: str) -> bytes:
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("other", "1"), ("t_ns", text)]
    packed = bytes(properties.pack())
    return packed[VariableByteIntegers.decode(packed)[1] :]


def test_float32_and_int16_little_endian() -> None:
    block = decode(np.array([1, 2, 3, 4], dtype="<f4").tobytes())
    assert block.samples.tolist() == [1, 2, 3, 4]
    assert (block.tag, block.rate_hz, block.quality, block.samples.dtype) == (3, 1000, GOOD, np.float32)
    scaled = decode(np.array([1, -2, 3, -4], dtype="<i2").tobytes(), format="int16le", scale=0.5, offset=1)
    assert scaled.samples.tolist() == [1.5, 0, 2.5, -1]


@pytest.mark.parametrize("size", [0, 15, 12, 20])
def test_wrong_length_is_bad_and_empty(size: int) -> None:
    block = decode(b"\0" * size)
    assert block.quality == Quality.BAD_LENGTH
    assert not len(block.samples)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_sample_that_is_not_finite_makes_the_block_bad(bad: float) -> None:
    assert decode(np.array([1, bad, 3, 4], dtype="<f4").tobytes()).quality == Quality.BAD_NOT_FINITE


def test_time_is_the_headers_then_the_user_propertys_then_counted_back_from_the_arrival() -> None:
    samples = np.zeros(4, dtype="<f4").tobytes()
    assert decode(samples).t_ns == NOW - 4_000_000
    assert decode(samples, user_property("123")).t_ns == 123
    assert decode(struct.pack("<q", 77) + samples, user_property("123"), header="t_ns").t_ns == 77


def test_a_payload_shorter_than_its_header_is_bad() -> None:
    assert decode(b"\0" * 5, header="t_ns").quality == Quality.BAD_LENGTH


def test_properties_that_are_none_tell_no_time() -> None:
    assert user_properties(b"\x26\xff\xff") == {}
    assert user_time(user_properties(user_property("yesterday"))) is None


def test_any_length_is_good_if_none_is_given() -> None:
    block = decode(b"\0" * 8, length=None)
    assert (len(block.samples), block.quality) == (2, GOOD)
