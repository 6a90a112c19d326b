"""Whatever comes: readings with a quality, blocks, records or a count; nothing is raised, and nothing is larger than its bounds."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from contextlib import suppress
from math import isnan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.broker import packets
from drivers.broker.framing import Framer, Malformed
from drivers.mqtt.config import MqttOptions, MqttRecord, MqttTag
from drivers.mqtt.routes import Routes
from gateway.contract import BAD, Batch, Quality, Record, RecordSpec, Tag, Waveform

NOW = 1_800_000_000_000_000_000
LOST = {"message_too_large", "record_format", "record_time", "birth_unknown"}
KINDS: dict[str, dict[str, Any]] = {
    "text": {},
    "states": {"states": {"RUN": 1, "STOP": 0}},
    "json": {"value": "$.v", "time": "$.t", "quality": "$.q", "good": [192]},
    "deep": {"value": "$.v[0].v", "time": "$['t']", "optional": True},
    "root": {"value": "$", "time_unit": "ms"},
    "series": {"values": "$.v", "step": "10ms", "time": "$.t"},
    "array": {"values": "$", "step": "1d"},
    "csv": {"format": "csv", "column": 2, "time_column": 1, "separator": ";"},
    "csv by name": {"format": "csv", "column": "v", "time_column": "t"},
    **{kind: {"format": kind, "at_byte": 1} for kind in ("int8", "int24be", "uint64le", "float32be", "float64le")},
    "int24 blocks": {"kind": "waveform", "format": "int24le", "rate_hz": 1000, "channels": 2, "channel": 1, "scale": 1e30},
    "blocks": {"kind": "waveform", "format": "float64be", "rate_hz": 0.001, "header": ["t_s", "sequence"]},
    "counted": {"kind": "waveform", "format": "float32le", "rate_hz": 1e9, "header": ["skip1", "t_ms"], "sequence": "n", "length": 2},
    "json blocks": {"kind": "waveform", "format": "json", "rate_hz": 1000, "values": "$.v", "time": "$.t", "sequence": "$.n"},
}
numbers = st.one_of(st.integers(), st.floats(), st.integers(10**300, 10**400), st.sampled_from([NOW, NOW // 10**9, 2**63, -(2**64)]))
leaves = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=20), st.sampled_from(["2027-01-15T08:00:00Z", "RUN", "9" * 5000]))
documents = st.recursive(
    leaves, lambda part: st.lists(part, max_size=5) | st.dictionaries(st.sampled_from(["v", "t", "q", "n", "x"]), part, max_size=5)
)
lines = st.lists(st.lists(leaves.map(str), max_size=4), max_size=5)
plain = st.one_of(
    st.binary(max_size=200),
    documents.map(lambda document: json.dumps(document).encode(errors="surrogatepass")),
    st.builds(lambda rows, by: "\n".join(by.join(row) for row in rows).encode(errors="replace"), lines, st.sampled_from([",", ";"])),
    st.builds(lambda t, n, rest: struct.pack(">dI", t, n) + rest, st.floats(), st.integers(0, 2**32 - 1), st.binary(max_size=64)),
)
payloads = st.one_of(plain, plain.map(gzip.compress), st.builds(lambda data, at: gzip.compress(data)[:at], plain, st.integers(0, 40)))
properties = st.one_of(
    st.just(b""),
    st.binary(max_size=60),
    st.builds(lambda text: b"\x26\x00\x04t_ns" + struct.pack(">H", len(text)) + text, st.binary(max_size=30)),
)


@pytest.mark.parametrize("kind", KINDS)
@given(payload=payloads, told=properties, retained=st.booleans(), compression=st.sampled_from(["auto", "gzip", "none"]))
def test_any_payload_is_one_of_the_outcomes(kind: str, payload: bytes, told: bytes, retained: bool, compression: str) -> None:
    options = MqttOptions.model_validate({"mqtt": "mqtt://h", "compression": compression, "birth": {"topic": "s"}})
    tag = Tag(0, "m", "t", MqttTag.model_validate({"topic": "t"} | KINDS[kind]))
    record = RecordSpec("m", "r", MqttRecord.model_validate({"topic": "r", "time": "$.t"}))
    routes = Routes(options, [tag], [record], machine="m")
    command = 0x31 if retained else 0x30
    found = routes.decode([(topic, payload, command, b"", told) for topic in (b"t", b"r", b"t", b"s")], NOW)
    assert found.lost.keys() <= LOST
    assert len(found.readings) <= 2 * (len(payload) * 1100 + 2)
    for item in found.items():
        well_formed(item)


def well_formed(item: object) -> None:
    if isinstance(item, Batch):
        assert {*item.quality.tolist()} <= {int(quality) for quality in Quality}
        assert all(isnan(value) == (quality >= BAD) for value, quality in zip(item.value.tolist(), item.quality.tolist(), strict=True))
    elif isinstance(item, Waveform):
        assert -(2**63) <= item.t_ns < 2**63
        assert item.dropped >= 0
        assert item.samples.dtype == "float32"
    else:
        assert isinstance(item, Record)
        assert -(2**63) <= item.t_ns < 2**63


READERS: dict[str, Callable[[bytes], Any]] = {
    "connack": lambda body: packets.read_connack(body, version5=True),
    "old connack": lambda body: packets.read_connack(body, version5=False),
    "suback": lambda body: packets.read_suback(body, version5=True),
    "puback": packets.read_puback,
    "disconnect": packets.read_disconnect,
}


@pytest.mark.parametrize("reader", READERS)
@given(body=st.binary(max_size=60))
def test_any_answer_is_read_or_malformed(reader: str, body: bytes) -> None:
    with suppress(Malformed):
        assert READERS[reader](body) is not None


@given(chunks=st.lists(st.binary(max_size=100), max_size=20), version5=st.booleans())
def test_any_stream_ends_and_keeps_no_more_than_came(chunks: list[bytes], version5: bool) -> None:
    framer = Framer(version5=version5, most_bytes=1000)
    came = cut = 0
    try:
        for chunk in chunks:
            came += len(chunk)
            framer.feed(chunk)
            while framer.more:
                messages, others = framer.cut(3)
                cut += sum(len(message[0]) + len(message[1] or b"") for message in messages) + sum(len(body) for _, body in others)
    except Malformed:
        return
    assert cut <= came
