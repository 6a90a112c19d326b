from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.properties import VariableByteIntegers

from drivers.broker.framing import Framer, Malformed, Publish

OTHERS = [(0xD0, b""), (0x90, b"\x00\x01\x00\x01"), (0x62, b"\x00\x07")]


def packet(command: int, body: bytes) -> bytes:
    return bytes([command]) + VariableByteIntegers.encode(len(body)) + body


def publish(message: Publish, *, version5: bool) -> bytes:
    topic, payload, command, mid, properties = message
    assert payload is not None
    told = VariableByteIntegers.encode(len(properties)) + properties if version5 else b""
    return packet(command, len(topic).to_bytes(2) + topic + mid + told + payload)


@st.composite
def messages(draw: st.DrawFn, *, version5: bool) -> Publish:
    qos = draw(st.integers(0, 2))
    mid = draw(st.integers(1, 65_535)).to_bytes(2) if qos else b""
    properties = draw(st.binary(max_size=200)) if version5 else b""
    topic = draw(st.text("ab/", min_size=1, max_size=200)).encode()
    return topic, draw(st.binary(max_size=300)), 0x30 | qos << 1 | draw(st.integers(0, 1)), mid, properties


def drain(framer: Framer, most: int) -> tuple[list[Publish], list[tuple[int, bytes]]]:
    found: list[Publish] = []
    others: list[tuple[int, bytes]] = []
    while framer.more:
        cut, beside = framer.cut(most)
        assert len(cut) <= most
        found += cut
        others += beside
    return found, others


@given(data=st.data(), version5=st.booleans(), most=st.integers(1, 5))
def test_any_split_of_the_stream_gives_the_same_packets(data: Any, version5: bool, most: int) -> None:
    sent = data.draw(st.lists(st.one_of(messages(version5=version5), st.sampled_from(OTHERS)), max_size=12))
    stream = b"".join(packet(*p) if len(p) == 2 else publish(p, version5=version5) for p in sent)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    framer = Framer(version5=version5, most_bytes=10_000)
    found: list[Publish] = []
    others: list[tuple[int, bytes]] = []
    for start, end in zip([0, *places], [*places, len(stream)], strict=True):
        framer.feed(stream[start:end])
        cut, beside = drain(framer, most)
        found += cut
        others += beside
    assert found == [p for p in sent if len(p) == 5]
    assert others == [p for p in sent if len(p) == 2]


@given(stream=st.binary(max_size=400), version5=st.booleans())
def test_any_bytes_are_packets_or_malformed(stream: bytes, version5: bool) -> None:
    framer = Framer(version5=version5, most_bytes=100)
    framer.feed(stream)
    with suppress(Malformed):
        drain(framer, 10)


@given(size=st.integers(150_000, 300_000), chunk=st.integers(1_000, 100_000))
def test_a_message_too_large_is_told_without_its_payload_and_the_next_is_read(size: int, chunk: int) -> None:
    large = (b"t/large", b"x" * size, 0x32, b"\x00\x09", b"")
    small = (b"t/small", b"1", 0x32, b"\x00\x0a", b"")
    stream = publish(large, version5=True) + publish(small, version5=True)
    framer = Framer(version5=True, most_bytes=1024)
    found: list[Publish] = []
    for at in range(0, len(stream), chunk):
        framer.feed(stream[at : at + chunk])
        found += drain(framer, 10)[0]
    assert found == [(b"t/large", None, 0x32, b"\x00\x09", b""), small]


def test_a_message_of_many_megabytes_is_put_together_once() -> None:
    size, chunk = 16 << 20, 64 << 10
    message = (b"t", b"x" * size, 0x32, b"\x00\x09", b"")
    stream = memoryview(publish(message, version5=True) * 2)
    framer = Framer(version5=True, most_bytes=size + 100)
    found: list[Publish] = []
    longest = 0
    for at in range(0, len(stream), chunk):
        framer.feed(bytes(stream[at : at + chunk]))
        longest = max(longest, len(framer._parts))
        if framer.more:
            found += drain(framer, 10)[0]
    assert found == [message, message]
    assert longest > 200


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"\x30\xff\xff\xff\xff\x01", "more than four bytes"),
        (b"\x36\x06\x00\x01t\x00\x01x", "QoS 3"),
        (b"\x30\x02\x00\x05", "shorter than its own header"),
        (b"\x30\x03\x00\x00x", "without a topic"),
        (b"\x90\xff\xff\x7f" + b"x" * 10, "a packet of"),
    ],
)
def test_what_is_no_mqtt_is_malformed(stream: bytes, why: str) -> None:
    framer = Framer(version5=False, most_bytes=1024)
    framer.feed(stream)
    with pytest.raises(Malformed, match=why):
        framer.cut(10)
