"""Every datatype, null, quality, arrays, data sets, templates: one metric to one reading."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest

from drivers.sparkplug.config import SparkplugTag
from drivers.sparkplug.datatypes import NAMES
from drivers.sparkplug.pick import part, pick
from drivers.sparkplug.schema import COMPRESSED, decode
from gateway.contract import BAD, GOOD, UNCERTAIN, Quality
from gateway.testkit.servers.sparkplug import DOUBLE, STRING, block, metric, number, payload, value

TYPE = {name: at for at, name in enumerate(NAMES)}
MIXED_BITS = bytes([10, 0, 0, 0, 0b10000001, 0b01000000])


def of(raw: bytes, **options: Any) -> tuple[float, int]:
    """The reading of one metric that a birth and nothing else told."""
    message, tag = decode(payload(raw)), SparkplugTag.model_validate(options)
    assert message is not None
    found = part(message.metrics[0], tag.member)
    return pick(found, 0 if found is None else found.datatype, tag)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("Int8", -5, -5),
        ("Int16", -32768, -32768),
        ("Int32", -(2**31), -(2**31)),
        ("Int64", -5, -5),
        ("UInt8", 255, 255),
        ("UInt16", 65535, 65535),
        ("UInt32", 2**32 - 1, 2**32 - 1),
        ("UInt64", 2**63 + 2**20, 2**63 + 2**20),
        ("Float", 1.5, 1.5),
        ("Double", -2.25, -2.25),
        ("Boolean", True, 1),
        ("DateTime", 1_790_000_000_123, 1_790_000_000_123),
    ],
)
def test_numbers(name: str, given: Any, expected: float) -> None:
    assert of(metric(TYPE[name], given, name="x")) == (float(expected), GOOD)


@pytest.mark.parametrize(
    ("name", "raw", "expected"), [("Int8", 0xFB, -5.0), ("Int16", 0xFFFB, -5.0), ("UInt32", 7, 7.0), ("Boolean", 1, 1.0)]
)
def test_integers_in_the_narrow_field(name: str, raw: int, expected: float) -> None:
    """Of its own width, of the field's, or where another field is usual: all are met."""
    assert of(metric(TYPE[name], None, name="x", raw=number(10, raw))) == (expected, GOOD)


def test_words_are_states() -> None:
    word = metric(STRING, "RUN", name="x")
    assert of(word, states={"RUN": 1}) == (1.0, GOOD)
    assert of(word, states={"STOP": 0})[1] == Quality.BAD_FORMAT
    assert of(word)[1] == Quality.BAD_TYPE


def test_what_is_no_number_is_bad_with_its_reason() -> None:
    assert of(metric(DOUBLE, None, name="x"))[1] == BAD
    assert of(metric(DOUBLE, float("nan"), name="x"))[1] == Quality.BAD_NOT_FINITE
    assert of(metric(DOUBLE, None, name="x", raw=number(6, 0)))[1] == Quality.BAD_FORMAT
    assert of(metric(TYPE["Bytes"], b"abc", name="x"))[1] == Quality.BAD_TYPE
    assert of(metric(STRING, None, name="x", raw=block(15, b"\xff")), states={"A": 1})[1] == Quality.BAD_TYPE


@pytest.mark.parametrize(
    ("code", "expected"), [(192, (4.0, GOOD)), (500, (None, BAD)), (0, (None, BAD)), (64, (4.0, UNCERTAIN)), (216, (4.0, GOOD))]
)
def test_the_property_quality_is_honoured(code: int, expected: tuple[float | None, int]) -> None:
    got, quality = of(metric(DOUBLE, 4.0, name="x", quality=code))
    assert (None if got != got else got, quality) == expected


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("Int8Array", struct.pack("<3b", -1, 2, 3), [-1, 2, 3]),
        ("Int16Array", struct.pack("<2h", -300, 4), [-300, 4]),
        ("Int32Array", struct.pack("<2i", -70000, 4), [-70000, 4]),
        ("Int64Array", struct.pack("<2q", -(2**40), 4), [-(2**40), 4]),
        ("UInt8Array", bytes([255, 4]), [255, 4]),
        ("UInt16Array", struct.pack("<2H", 65535, 4), [65535, 4]),
        ("UInt32Array", struct.pack("<2I", 2**32 - 1, 4), [2**32 - 1, 4]),
        ("UInt64Array", struct.pack("<2Q", 2**60, 4), [2**60, 4]),
        ("FloatArray", struct.pack("<2f", 1.5, 4), [1.5, 4]),
        ("DoubleArray", struct.pack("<2d", 1.5, 4), [1.5, 4]),
        ("BooleanArray", MIXED_BITS, [1, 0, 0, 0, 0, 0, 0, 1, 0, 1]),
        ("DateTimeArray", struct.pack("<2q", 1_790_000_000_123, 4), [1_790_000_000_123, 4]),
        ("StringArray", b"STOP\0RUN\0", [0, 1]),
    ],
)
def test_elements_of_arrays(name: str, raw: bytes, expected: list[float]) -> None:
    packed, states = metric(TYPE[name], raw, name="x"), {"RUN": 1, "STOP": 0} if name == "StringArray" else None
    assert [of(packed, element=at, states=states) for at in range(len(expected))] == [(float(one), GOOD) for one in expected]
    assert of(packed, element=len(expected))[1] == Quality.BAD_LENGTH


@pytest.mark.parametrize(("name", "raw"), [("Int16Array", b"abc"), ("BooleanArray", b"\xff\0\0\0a"), ("BooleanArray", b"a")])
def test_arrays_that_are_not_whole_are_bad(name: str, raw: bytes) -> None:
    assert of(metric(TYPE[name], raw, name="x"), element=0)[1] == Quality.BAD_FORMAT


def test_an_element_of_what_is_no_array_is_bad() -> None:
    assert of(metric(DOUBLE, 1.0, name="x"), element=0)[1] == Quality.BAD_TYPE


def table() -> bytes:
    cells = [("oil", 40.5, -3), ("air", 6.5, 9)]
    rows = [block(1, value(12, a, 1)) + block(1, value(10, b, 1)) + block(1, value(3, c, 1)) for a, b, c in cells]
    head = number(1, 3) + b"".join(block(2, name) for name in (b"what", b"value", b"trend"))
    whole = head + b"".join(number(3, kind) for kind in (12, 10, 3)) + b"".join(block(4, row) for row in rows)
    return metric(TYPE["DataSet"], None, name="x", raw=block(17, whole))


def test_cells_of_data_sets() -> None:
    assert of(table(), column="value") == (40.5, GOOD)
    assert of(table(), column="value", row=-1) == (6.5, GOOD)
    assert of(table(), column="trend", row="oil") == (-3.0, GOOD)
    assert of(table(), column="what", states={"oil": 4}) == (4.0, GOOD)
    assert of(table(), column="value", row=2)[1] == Quality.BAD_LENGTH
    assert of(table(), column="value", row="water")[1] == Quality.BAD_LENGTH
    assert of(table(), column="none")[1] == Quality.BAD_FORMAT
    assert of(metric(DOUBLE, 1.0, name="x"), column="value")[1] == Quality.BAD_TYPE
    assert of(table())[1] == Quality.BAD_TYPE


def template(*members: bytes, name: str = "x") -> bytes:
    return metric(TYPE["Template"], None, name=name, raw=block(18, b"".join(block(2, each) for each in members) + block(4, b"Motor")))


def test_members_of_templates() -> None:
    inner = template(metric(DOUBLE, 3.0, name="Current"), name="Drive/A")
    whole = template(metric(TYPE["Int16"], -4, name="Speed"), inner, metric(DOUBLE, None, name="Torque"))
    assert of(whole, member="Speed") == (-4.0, GOOD)
    assert of(whole, member="Drive/A/Current") == (3.0, GOOD)
    assert of(whole, member="Drive/A.Current") == (3.0, GOOD)
    assert of(whole, member="Torque")[1] == BAD
    for missing in ("Current", "Drive/A/None", "Drive/A", "Speed/x"):
        assert of(whole, member=missing)[1] in (Quality.BAD_FORMAT, Quality.BAD_TYPE)
    assert of(metric(DOUBLE, 1.0, name="x"), member="Speed")[1] == Quality.BAD_FORMAT


MEMBERS = {name: {"metric": "Motor", "member": name} for name in ("Speed", "Drive/A/Torque", "None")}
MEMBERS["wave"] = {"metric": "Motor", "member": "Vib", "kind": "waveform", "rate_hz": 1000}


def motor(seq: int, *members: bytes) -> bytes:
    return payload(template(*members, name="Motor"), seq=seq)


def test_data_have_the_members_of_a_template_that_changed_without_their_datatypes(talk: Any) -> None:
    node, restarted = type(talk)(MEMBERS), type(talk)(MEMBERS)
    drive = template(metric(TYPE["Int32"], 8, name="Torque"), name="Drive/A")
    born = node.say("NBIRTH", motor(3, metric(TYPE["Int16"], 7, name="Speed"), drive, metric(30, bytes(8), name="Vib")))
    assert [(value, quality) for *_, value, quality in born.readings[:2]] == [(7.0, GOOD), (8.0, GOOD)]
    assert (born.readings[2][3], len(born.blocks)) == (Quality.BAD_FORMAT, 1)
    restarted.node.load(json.loads(json.dumps(node.node.dump(closing=True))))
    for each in (node, restarted):
        got = each.say("NDATA", motor(4, metric(0, -7, name="Speed")))
        assert ([(tag, value) for tag, _, value, _ in got.readings], got.blocks) == ([(0, -7.0)], [])
        drive = template(metric(0, -8, name="Torque"), name="Drive/A")
        got = each.say("NDATA", motor(5, drive, metric(0, bytes(12), name="Vib")))
        assert [(tag, value) for tag, _, value, _ in got.readings] == [(1, -8.0)]
        assert [(len(block.samples), block.quality) for block in got.blocks] == [(3, GOOD)]
    nothing = node.say("NDATA", payload(metric(0, None, name="Motor"), seq=6))
    assert {quality for *_, quality in nothing.readings} == {Quality.BAD_FORMAT}


def test_a_birth_that_is_known_is_of_the_members_that_were_read(talk: Any) -> None:
    node = type(talk)({"speed": MEMBERS["Speed"]})
    node.say("NBIRTH", motor(3, metric(TYPE["Int16"], 7, name="Speed"), metric(TYPE["Int16"], 8, name="Torque")))
    more = type(talk)({"speed": MEMBERS["Speed"], "torque": {"metric": "Motor", "member": "Torque"}})
    more.node.load(node.node.dump(closing=True))
    assert more.say("NDATA", motor(4, metric(0, -8, name="Torque"))).readings == []
    assert more.asks() == 1


def test_arrays_are_waveforms(talk: Any) -> None:
    those = type(talk)({"vib": {"metric": "Vib", "kind": "waveform", "rate_hz": 1000}})
    samples = np.arange(4, dtype="<f4")
    born = those.say("NBIRTH", payload(metric(30, samples.tobytes(), name="Vib", alias=1), seq=0, t_ms=5))
    (wave,) = born.blocks
    assert (wave.samples.tolist(), wave.t_ns, wave.rate_hz, wave.quality) == ([0, 1, 2, 3], 5_000_000, 1000, GOOD)
    for raw, quality in ((b"abc", Quality.BAD_FORMAT), (struct.pack("<f", float("inf")), Quality.BAD_NOT_FINITE)):
        (wave,) = those.say("NDATA", payload(metric(30, raw, alias=1))).blocks
        assert wave.quality == quality
    assert those.say("NDEATH", payload()).readings == []


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress], ids=["deflate", "gzip"])
def test_payloads_that_are_compressed(pack: Any) -> None:
    packed = block(4, COMPRESSED.encode()) + block(5, pack(payload(metric(DOUBLE, 4.0, name="x"), seq=9)))
    message = decode(packed)
    assert message is not None
    assert (message.seq, message.metrics[0].double_value) == (9, 4.0)
    assert decode(packed, most_bytes=10) is None
    assert decode(packed[:-4] + b"\0\0\0\0") is None


def test_a_payload_of_nothing_but_empty_messages_is_refused() -> None:
    """Ten megabytes of them would be half a gigabyte; a large birth is not that crowded."""
    assert decode(b"\x12\x00" * (1 << 20)) is None
    birth = decode(payload(*(metric(DOUBLE, 1.0, name=f"Line/{at:06}", alias=at, t_ms=1_790_000_000_000) for at in range(40_000))))
    assert birth is not None
    assert len(birth.metrics) == 40_000
