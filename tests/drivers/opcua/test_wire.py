"""Lengths are not believed, whatever bytes come."""

from __future__ import annotations

import struct
import tracemalloc
from contextlib import suppress

import pytest
from asyncua import ua
from asyncua.ua import uaerrors
from asyncua.ua.ua_binary import struct_to_binary, variant_to_binary
from hypothesis import given
from hypothesis import strategies as st

from drivers.opcua import history, wire
from drivers.opcua.decode import decode
from drivers.opcua.events import read_events
from drivers.opcua.pick import Blocks, Pick, array_of
from drivers.opcua.publish import parse
from drivers.opcua.structure import Layout, Part, number_in
from drivers.opcua.wire import Malformed, Reader, json_of, moment
from gateway.contract import Tag

HOSTILE = [
    b"\x80\xff\xff\xff\x7f",  # an array of 2^31 times nothing
    b"\x8b\xff\xff\xff\x7f" + b"\x00" * 64,  # of 2^31 doubles
    b"\x96\xff\xff\xff\x7f" + b"\x00" * 64,  # of 2^31 structures
    b"\x0c\xff\xff\xff\x7f",  # a text of 2 GB
    b"\x98\x01\x00\x00\x00" * 3000,  # variants in variants in variants
    b"\x19" + b"\x40" * 3000,  # diagnostics in diagnostics
    b"\xcb\x01\x00\x00\x00" + b"\x00" * 8 + b"\xff\xff\xff\x7f",  # 2^31 dimensions
    b"\x3f",
    b"",
]


@pytest.mark.parametrize("variant", HOSTILE)
def test_what_is_announced_and_not_there_is_refused_without_room_for_it(variant: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(Malformed):
        Reader(variant).variant()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000


@given(st.binary(max_size=120))
def test_no_bytes_raise_anything_else(noise: bytes) -> None:
    layout = Layout("t", [Part("a", 12, array=True), Part("b", 22), Part("c", 11, optional=True)], masked=True)
    layout.parts.append(Part("d", 22, array=True, inside=Layout("u", [Part("x", 6)], union=True)))
    for read in (
        lambda: Reader(noise).variant(),
        lambda: Reader(noise).told(),
        lambda: Reader(noise).header(),
        lambda: list(read_events(noise, 0)),
        lambda: number_in(layout, "", noise, ("d", 1, "x")),
    ):
        with suppress(Malformed):
            read()


@given(st.binary(max_size=200), st.integers(0, 60))
def test_a_history_of_noise_is_a_value_error(noise: bytes, keep: int) -> None:
    good = struct_to_binary(ua.HistoryReadResponse(Results=[ua.HistoryReadResult(HistoryData=ua.HistoryData())]))
    for response in (noise, good[:keep] + noise):
        with suppress(ValueError, uaerrors.UaError):
            history.parse(response, 1)
    assert [page.rest for page in history.parse(good, 1)] == [None]


@given(st.binary(max_size=200))
def test_a_publish_response_of_noise_is_a_value_error(noise: bytes) -> None:
    with suppress(ValueError, uaerrors.UaError):
        parse(noise)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        (ua.Variant("Motor", ua.VariantType.String), "Motor"),
        (ua.Variant(ua.LocalizedText("zu heiß", "de")), "zu heiß"),
        (ua.Variant(ua.QualifiedName("Load", 2)), "Load"),
        (ua.Variant(ua.NodeId("Spindle", 2)), "ns=2;s=Spindle"),
        (ua.Variant(ua.NodeId(2041, 0)), "i=2041"),
        (ua.Variant(b"\x01\xff"), "01ff"),
        (ua.Variant([True, False]), [True, False]),
        (ua.Variant(None), None),
        (ua.Variant([1.5, 2.5]), [1.5, 2.5]),
        (ua.Variant(ua.Range(0.0, 1.0)), None),
    ],
)
def test_values_as_json(variant: object, expected: object) -> None:
    assert json_of(Reader(variant_to_binary(variant)).variant()) == expected


def test_the_year_1601_is_no_moment_and_the_year_30000_is_the_last() -> None:
    assert moment(0) is None
    assert moment(2**63 - 1) == "9999-12-31T23:59:59Z"


def test_numbers_of_an_array_and_of_an_element() -> None:
    raw = Reader(variant_to_binary(ua.Variant([1, 2, 3], ua.VariantType.UInt16))).told
    told = Reader(b"\x01" + variant_to_binary(ua.Variant([1, 2, 3], ua.VariantType.UInt16))).told()
    assert raw is not None
    assert told.raw is not None
    column = array_of(told.raw)
    assert column is not None
    assert column.tolist() == [1.0, 2.0, 3.0]
    assert Pick(2, ())(told) == (3.0, 0)
    assert Pick(3, ())(told)[1] == 18


def test_blocks_have_the_time_of_their_first_sample_and_count_what_is_missing() -> None:
    class Options:
        rate_hz, length, scale, offset = 1000.0, 4, 2.0, 0.0

    blocks = Blocks(Tag(3, "m", "w", Options()))
    variant = variant_to_binary(ua.Variant([1.0, 2.0, 3.0, 4.0], ua.VariantType.Float))

    def at(milliseconds: int, body: bytes = variant) -> object:
        ticks = 116_444_736_000_000_000 + 17_000_000_000_000_000 + milliseconds * 10_000
        return blocks.take(Reader(b"\x05" + body + struct.pack("<q", ticks)).told(), 0)

    base = 1_700_000_000_000_000_000
    first, second, third = at(4), at(8), at(20)
    assert [(w.t_ns - base, w.dropped) for w in (first, second, third)] == [(0, 0), (4_000_000, 0), (16_000_000, 8)]  # type: ignore[attr-defined]
    assert first.samples.tolist() == [2.0, 4.0, 6.0, 8.0]  # type: ignore[attr-defined]
    short = at(24, variant_to_binary(ua.Variant([1.0], ua.VariantType.Float)))
    assert (short.quality, third.quality) == (20, 0)  # type: ignore[attr-defined]
    assert blocks.nothing(5, 0).quality == 18


@pytest.fixture
def thirty_thousand_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of what is allowed, which takes a second or two."""
    assert wire.MOST_READS == 300_000
    monkeypatch.setattr(wire, "MOST_READS", 30_000)


@pytest.mark.usefixtures("thirty_thousand_parts")
def test_a_message_of_very_many_parts_is_given_up_before_it_holds_the_gateway() -> None:
    """A megabyte of parts of one byte took ten seconds, and a message could have sixty-four."""
    nothings = b"\x98" + struct.pack("<i", 100_000) + bytes(100_000)
    with pytest.raises(Malformed, match="parts"):
        Reader(nothings).variant()
    numbers = b"\x8b" + struct.pack("<i", 1_000_000) + bytes(8_000_000)
    raw = Reader(numbers).variant()
    assert raw is not None
    assert len(raw.body) == 8_000_004


@pytest.mark.usefixtures("thirty_thousand_parts")
def test_what_one_value_may_have_of_parts_a_whole_notification_may_have() -> None:
    one = struct.pack("<I", 7) + b"\x01\x98" + struct.pack("<i", 10_000) + bytes(10_000)
    found = decode(struct.pack("<i", 20) + one * 20, 0)
    assert 1 <= len(found.handle) <= 3
    assert found.undecoded == 20 - len(found.handle)
