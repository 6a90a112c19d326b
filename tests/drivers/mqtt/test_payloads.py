"""Payloads that are no single JSON value: arrays in time, lines, bytes, and what is compressed."""

from __future__ import annotations

import gzip
import json
import struct
from math import isnan
from typing import Any

import numpy as np
import pytest

from drivers.broker.framing import Publish
from drivers.mqtt.config import MqttOptions, MqttRecord, MqttTag
from drivers.mqtt.gathered import Gathered
from drivers.mqtt.routes import Routes
from gateway.contract import GOOD, UNCERTAIN, Quality, RecordSpec, Tag

NOW = 1_800_000_000_000_000_000
Rows = list[tuple[int, float, int]]


def gather(payload: bytes, *, retained: bool = False, properties: bytes = b"", compression: str = "auto", **options: Any) -> Gathered:
    """One message on the topic of one tag and one record; payloads of 64 kB at most."""
    source = MqttOptions.model_validate({"mqtt": "mqtt://h", "compression": compression, "max_message_kilobytes": 64})
    tag = Tag(0, "m", "t", MqttTag.model_validate({"topic": "t"} | options))
    record = RecordSpec("m", "r", MqttRecord.model_validate({"topic": "r"}))
    message: Publish = (b"t", payload, 0x31 if retained else 0x30, b"", properties)
    return Routes(source, [tag], [record], machine="m").decode([message], NOW)


def rows(payload: bytes, **options: Any) -> Rows:
    return [row[1:] for row in gather(payload, **options).readings]


SERIES = {"values": "$.s", "step": "10ms", "time": "$.t"}


def test_an_array_is_a_reading_for_each_value_from_the_time_of_the_first() -> None:
    found = rows(b'{"t": 1800000000, "s": [1, 2.5, true]}', **SERIES)
    assert found == [(NOW, 1.0, GOOD), (NOW + 10_000_000, 2.5, GOOD), (NOW + 20_000_000, 1.0, GOOD)]


def test_without_a_time_the_last_value_came_just_now() -> None:
    found = rows(b"[1, 2]", values="$", step="1s", retained=True)
    assert found == [(NOW - 10**9, 1.0, UNCERTAIN), (NOW, 2.0, UNCERTAIN)]


@pytest.mark.parametrize("payload", [b"{", b'{"t": 1}', b'{"t": 1, "s": 3}', b'{"s": [1]}', b'{"t": "soon", "s": [1]}'])
def test_what_is_no_array_with_a_time_is_one_bad_reading(payload: bytes) -> None:
    ((t_ns, value, quality),) = rows(payload, **SERIES)
    assert (t_ns, isnan(value), quality) == (NOW, True, Quality.BAD_FORMAT)


def test_an_array_that_is_not_there_may_say_nothing() -> None:
    assert rows(b'{"t": 1}', **SERIES, optional=True) == []
    assert len(rows(b"{", **SERIES, optional=True)) == 1


def test_bad_values_in_an_array_are_bad_and_keep_their_place() -> None:
    found = rows(b'{"t": 1800000000, "s": [1, "x", null]}', **SERIES)
    assert [quality for _, _, quality in found] == [GOOD, Quality.BAD_TYPE, Quality.BAD_TYPE]
    assert rows(b'{"t": 9223372036854775807, "s": [1, 2]}', **SERIES)[1][0] == 2**63 - 1


def test_an_array_beyond_all_bounds_is_one_bad_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.mqtt.series.MOST_VALUES", 3)
    assert [quality for _, _, quality in rows(b"[1,2,3,4]", values="$", step="1s")] == [Quality.BAD_LENGTH]


CSV = {"format": "csv"}


@pytest.mark.parametrize(
    ("payload", "options", "found"),
    [
        (b"7,21.5,ok", {"column": 2}, [(NOW, 21.5, GOOD)]),
        (b"1;21,5\r\n2;22,5\r\n", {"column": 2, "separator": ";"}, [(NOW, 21.5, GOOD), (NOW, 22.5, GOOD)]),
        (b"\xef\xbb\xbftime, oil\n1800000000, 3\n", {"column": "oil", "time_column": "time"}, [(NOW, 3.0, GOOD)]),
        (b"2027-01-15T08:00:00Z\tRUN", {"column": 2, "time_column": 1, "separator": "\t", "states": {"RUN": 1}}, [(NOW, 1.0, GOOD)]),
    ],
)
def test_csv(payload: bytes, options: dict[str, Any], found: Rows) -> None:
    assert rows(payload, **CSV, **options) == found


@pytest.mark.parametrize(
    ("payload", "options", "quality"),
    [
        (b"", {"column": 1}, Quality.BAD_FORMAT),
        (b"\xff", {"column": 1}, Quality.BAD_FORMAT),
        (b"1", {"column": 2}, Quality.BAD_FORMAT),
        (b"hot", {"column": 1}, Quality.BAD_TYPE),
        (b"a,b\n1,2", {"column": "c"}, Quality.BAD_FORMAT),
        (b"soon,1", {"column": 2, "time_column": 1}, Quality.BAD_FORMAT),
        (b"x" * 200_000, {"column": 1}, Quality.BAD_FORMAT),
    ],
)
def test_csv_that_is_bad(payload: bytes, options: dict[str, Any], quality: int) -> None:
    ((_, value, told),) = rows(payload, **CSV, **options)
    assert isnan(value)
    assert told == quality


@pytest.mark.parametrize(
    ("kind", "payload", "value"),
    [
        ("int8", b"\xff", -1),
        ("uint16be", b"\x01\x02", 258),
        ("int24le", b"\xfe\xff\xff", -2),
        ("int24be", b"\x7f\xff\xff", 8_388_607),
        ("int64le", struct.pack("<q", -5), -5),
        ("float32be", struct.pack(">f", 21.5), 21.5),
        ("float64le", struct.pack("<d", 0.1), 0.1),
    ],
)
def test_a_number_in_bytes(kind: str, payload: bytes, value: float) -> None:
    assert rows(b"##" + payload + b"#", format=kind, at_byte=2) == [(NOW, value, GOOD)]
    assert [quality for *_, quality in rows(b"#" + payload, format=kind, at_byte=2)] == [Quality.BAD_LENGTH]


def test_a_number_in_bytes_that_is_none_or_retained() -> None:
    assert [quality for *_, quality in rows(struct.pack("<f", np.inf), format="float32le")] == [Quality.BAD_NOT_FINITE]
    assert rows(b"\x05", format="uint8", retained=True) == [(NOW, 5.0, UNCERTAIN)]


WAVE: dict[str, Any] = {"kind": "waveform", "rate_hz": 1000}


@pytest.mark.parametrize(
    "kind", ["int8", "uint8", *(f"{k}{e}" for k in ("int16", "int32", "float32", "float64", "uint16") for e in ("le", "be"))]
)
def test_samples_of_every_width_and_order(kind: str) -> None:
    dtype = np.dtype(kind.removesuffix("le").removesuffix("be")).newbyteorder(">" if kind.endswith("be") else "<")
    (block,) = gather(np.array([1, 2, 100]).astype(dtype).tobytes(), **WAVE, format=kind).blocks
    assert (block.samples.tolist(), block.quality) == ([1, 2, 100], GOOD)


@pytest.mark.parametrize("order", ["le", "be"])
def test_samples_of_24_bits_and_their_scale(order: Any) -> None:
    name = {"le": "little", "be": "big"}[order]
    payload = b"".join(value.to_bytes(3, name, signed=True) for value in (1, -1, 8_388_607, -8_388_608))  # type: ignore[arg-type]
    (block,) = gather(payload, **WAVE, format=f"int24{order}", scale=0.5, offset=1).blocks
    assert block.samples.tolist() == [1.5, 0.5, 4_194_304.5, -4_194_303.0]


def test_one_channel_of_several_interleaved() -> None:
    payload = np.arange(12, dtype="<i2").tobytes()
    (block,) = gather(payload, **WAVE, format="int16le", channels=3, channel=2, length=4).blocks
    assert block.samples.tolist() == [2, 5, 8, 11]
    (block,) = gather(payload[:-2], **WAVE, format="int16le", channels=3).blocks
    assert block.quality == Quality.BAD_LENGTH


@pytest.mark.parametrize(
    ("header", "fields", "t_ns"),
    [
        (["t_us", "skip2"], struct.pack("<qH", NOW // 1000, 9), NOW),
        (["skip4", "t_ms"], struct.pack("<Iq", 9, NOW // 10**6), NOW),
        (["t_s", "sequence"], struct.pack("<dI", 1.8e9 + 0.5, 3), NOW + 5 * 10**8),
        (["t_s"], struct.pack("<d", np.nan), NOW - 2_000_000),
        (["t_us"], struct.pack("<q", 2**62), 2**63 - 1),
    ],
)
def test_header(header: list[str], fields: bytes, t_ns: int) -> None:
    (block,) = gather(fields + np.zeros(2, dtype="<f4").tobytes(), **WAVE, format="float32le", header=header).blocks
    assert (block.t_ns, len(block.samples)) == (t_ns, 2)


def test_samples_in_json() -> None:
    options = WAVE | {"format": "json", "values": "$.x", "time": "$.t", "sequence": "$.n"}
    (block,) = gather(b'{"t": 1800000000, "n": 1, "x": [1, 2.5]}', **options).blocks
    assert (block.t_ns, block.samples.tolist(), block.quality) == (NOW, [1, 2.5], GOOD)
    (block,) = gather(b"[1, 2]", **WAVE, format="json").blocks
    assert (block.t_ns, block.samples.tolist()) == (NOW - 2_000_000, [1, 2])


@pytest.mark.parametrize(
    ("payload", "quality"),
    [
        (b'{"t": 1800000000, "x": [1, "2"]}', Quality.BAD_FORMAT),
        (b'{"t": 1800000000, "x": [1, null]}', Quality.BAD_FORMAT),
        (b'{"t": 1800000000, "x": 1}', Quality.BAD_FORMAT),
        (b'{"x": [1]}', Quality.BAD_FORMAT),
        (b'{"t": 1800000000, "x": []}', Quality.BAD_LENGTH),
        (b'{"t": 1800000000, "x": [1e300]}', Quality.BAD_NOT_FINITE),
        (b"{", Quality.BAD_FORMAT),
    ],
)
def test_samples_in_json_that_are_bad(payload: bytes, quality: int) -> None:
    (block,) = gather(payload, **WAVE, format="json", values="$.x", time="$.t").blocks
    assert block.quality == quality


@pytest.mark.parametrize("where", ["header", "json"])
def test_blocks_that_are_missing_are_told_and_one_that_comes_again_is_left_out(where: str) -> None:
    header = {"format": "int16le", "header": "sequence"}
    options = WAVE | {"topic": "t"} | (header if where == "header" else {"format": "json", "values": "$.x", "sequence": "$.n"})
    routes = Routes(MqttOptions(mqtt="mqtt://h"), [Tag(0, "m", "t", MqttTag.model_validate(options))], [], machine="m")

    def block(number: int) -> bytes:
        if where == "json":
            return json.dumps({"n": number, "x": [1, 2, 3, 4]}).encode()
        return struct.pack("<I4h", number, 1, 2, 3, 4)

    numbers = [4_294_967_294, 4_294_967_295, 0, 0, 3, 1]
    found = routes.decode([(b"t", block(number), 0x30, b"", b"") for number in numbers], NOW)
    assert [block.dropped for block in found.blocks] == [0, 0, 0, 8, 0]


VALUES = ["1.5", "1480", "true", "1e400", '"RUN"', "null", "{}"]
TIMES = ["1800000000", "1800000000000", "1800000000000000", "1800000000000000000", "5", '"2027-01-15T08:00:00Z"', "null", "1.8e9"]


@pytest.mark.parametrize("retained", [False, True])
def test_the_short_way_of_the_usual_sensor_says_what_the_long_one_does(retained: bool) -> None:
    for text in [*(f'{{"v": {v}, "t": {t}, "x": 1}}' for v in VALUES for t in TIMES), '{"v": 1.5}', '{"t": 1}', "[", ""]:
        usual = rows(text.encode(), value="$.v", time="$.t", retained=retained)
        general = rows(text.encode(), value="$.v", time="$.t", quality="$.x", good=[1], retained=retained)
        if '"x"' in text or text in ("[", ""):
            assert repr(usual) == repr(general)
        assert len(usual) == 1
    assert rows(b'{"v": 1.8e9}', value="$.v", time="$.v") == [(NOW, 1.8e9, GOOD)]


def test_compressed_is_told_by_how_it_begins() -> None:
    assert rows(gzip.compress(b'{"v": 5}'), value="$.v") == [(NOW, 5.0, GOOD)]
    assert rows(gzip.compress(b"1,") + gzip.compress(b"2"), **CSV, column=2) == [(NOW, 2.0, GOOD)]
    assert [quality for *_, quality in rows(gzip.compress(b"5"), compression="none")] == [Quality.BAD_FORMAT]


@pytest.mark.parametrize(
    ("payload", "options"),
    [(b"5", {}), (b'{"v": 5}', {"value": "$.v"}), (b'{"s": [5]}', {"values": "$.s", "step": "1s"}), (b"v,w\n5,1", CSV | {"column": "v"})],
)
def test_a_bom_before_a_text_says_nothing(payload: bytes, options: dict[str, Any]) -> None:
    bom = b"\xef\xbb\xbf"
    assert rows(bom + payload, **options) == rows(gzip.compress(bom + payload), **options) == [(NOW, 5.0, GOOD)]
    (block,) = gather(bom + b"\x00", **WAVE, format="int16le").blocks
    assert len(block.samples) == 2


def test_a_bom_before_a_message_says_nothing() -> None:
    record = RecordSpec("m", "r", MqttRecord.model_validate({"topic": "r"}))
    routes = Routes(MqttOptions.model_validate({"mqtt": "mqtt://h"}), [], [record], machine="m")
    found = routes.decode([(b"r", b'\xef\xbb\xbf{"order": "4711"}', 0x32, b"\0\1", b"")], NOW)
    assert ([each.fields for each in found.records], found.lost) == ([{"order": "4711"}], {})


def test_bytes_that_begin_like_it_are_samples_unless_somebody_says_otherwise() -> None:
    samples = b"\x1f\x8b\x00\x00"
    (block,) = gather(samples, **WAVE, format="int16le").blocks
    assert len(block.samples) == 2
    (block,) = gather(gzip.compress(samples), **WAVE, format="int16le", compression="gzip").blocks
    assert len(block.samples) == 2
    content_type = b"\x03\x00\x10application/gzip"
    (block,) = gather(gzip.compress(samples), **WAVE, format="int16le", properties=content_type).blocks
    assert len(block.samples) == 2


@pytest.mark.parametrize("payload", [gzip.compress(b"5", mtime=0)[:-4], b"\x1f\x8b", b"\x1f\x8b" + b"x" * 30])
def test_damaged_compression_is_bad(payload: bytes) -> None:
    assert [quality for *_, quality in rows(payload)] == [Quality.BAD_FORMAT]


@pytest.mark.parametrize("members", [1, 40])
def test_a_bomb_is_counted_and_left_out(members: int) -> None:
    bomb = gzip.compress(b" " * (100_000_000 if members == 1 else 2_000)) * members
    found = gather(bomb)
    assert not found.readings
    assert found.lost == {"message_too_large": 1}
