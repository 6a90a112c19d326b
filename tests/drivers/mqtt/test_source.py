"""Values, blocks and records from real brokers."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from gateway.contract import GOOD, UNCERTAIN, Batch, Quality, Record, Waveform
from gateway.testkit.servers.mqtt import Amqtt, Mosquitto, Publisher

TAGS = {"t": {"topic": "p/+/t", "value": "$.v"}, "text": {"topic": "p/1/text"}, "later": {"topic": "p/2/text"}}


async def test_json_by_path_and_plain_text_come_in_one_batch(broker: Mosquitto, publisher: Publisher, make: Any, read: Any) -> None:
    source = make(broker.url, TAGS | {"t": {"topic": "p/+/t", "value": "$.m[1].v", "time": "$.ts"}})
    await source.connect()
    await publisher.publish("p/1/t", b'{"ts": 1800000000000, "m": [0, {"v": 21.5}]}', qos=1)
    (batch,) = await read(source)
    assert (batch.tag.tolist(), batch.value.tolist(), batch.quality.tolist()) == ([0], [21.5], [GOOD])
    assert batch.t_ns.tolist() == [1_800_000_000_000_000_000]
    await publisher.publish("p/1/text", b"7", qos=1)
    (batch,) = await read(source)
    assert (batch.tag.tolist(), batch.value.tolist()) == ([1], [7.0])


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_every_qos_of_both_versions(broker: Mosquitto, publisher: Publisher, make: Any, read: Any, version: str, qos: int) -> None:
    source = make(broker.url, TAGS, version=version, qos=qos)
    await source.connect()
    got: list[float] = []
    for value in range(100):  # more than a broker sends ahead of our acknowledgements, one after another
        await publisher.publish("p/1/text", b"%d" % value, qos=qos)
    while len(got) < 100:
        for batch in await read(source):
            got += batch.value.tolist()
    assert got == list(range(100))


async def test_everything_from_amqtt(amqtt: Amqtt, make: Any, read: Any) -> None:
    source = make(amqtt.url, TAGS, {"r": {"topic": "mes/#"}}, version="3.1.1")
    await source.connect()
    async with Publisher(amqtt.url) as publisher:
        for qos in (0, 1, 2):
            await publisher.publish("p/9/t", b'{"v": %d}' % qos, qos=qos)
            (batch,) = await read(source)
            assert batch.value.tolist() == [qos]
            await publisher.publish("mes/a/b", b'{"order": %d}' % qos, qos=qos)
            (record,) = await read(source)
            assert (record.source, record.fields) == ("m1/r", {"order": qos})


async def test_retained_is_uncertain_unless_it_tells_its_time(broker: Mosquitto, publisher: Publisher, make: Any, read: Any) -> None:
    await publisher.publish("p/1/t", b'{"v": 1, "ts": 1800000000}', qos=1, retain=True)
    source = make(broker.url, {"aged": TAGS["t"], "timed": TAGS["t"] | {"time": "$.ts"}})
    await source.connect()
    (batch,) = await read(source)
    assert (batch.tag.tolist(), batch.quality.tolist()) == ([0, 1], [UNCERTAIN, GOOD])


@pytest.mark.parametrize(
    ("topic", "payload", "quality"),
    [
        ("p/1/t", b'{"v": ', Quality.BAD_FORMAT),
        ("p/1/t", b"\xff\xfe", Quality.BAD_FORMAT),
        ("p/1/t", b'{"w": 1}', Quality.BAD_FORMAT),
        ("p/1/t", b'{"v": "hot"}', Quality.BAD_TYPE),
        ("p/1/t", b'{"v": NaN}', Quality.BAD_NOT_FINITE),
        ("p/1/text", b"hot", Quality.BAD_TYPE),
        ("p/1/text", b"inf", Quality.BAD_NOT_FINITE),
    ],
)
async def test_bad_payload_is_bad_and_the_next_is_read(
    broker: Mosquitto, publisher: Publisher, make: Any, read: Any, topic: str, payload: bytes, quality: int
) -> None:
    source = make(broker.url, TAGS)
    await source.connect()
    await publisher.publish(topic, payload, qos=1)
    (batch,) = await read(source)
    assert batch.quality.tolist() == [quality]
    assert math.isnan(batch.value[0])
    await publisher.publish("p/2/text", b"5", qos=1)
    (batch,) = await read(source)
    assert (batch.tag.tolist(), batch.value.tolist()) == ([2], [5.0])


async def test_huge_message_is_counted_and_left_out(
    broker: Mosquitto, publisher: Publisher, make: Any, read: Any, lost: Counter[str]
) -> None:
    source = make(broker.url, TAGS, max_message_kilobytes=64)
    await source.connect()
    await publisher.publish("p/1/text", b" " * 10_000_000, qos=1)
    await publisher.publish("p/1/text", b"5", qos=1)
    (batch,) = await read(source)
    assert batch.value.tolist() == [5.0]
    assert lost == {"message_too_large": 1}


async def test_message_of_ten_megabytes_is_read_where_it_is_allowed(
    broker: Mosquitto, publisher: Publisher, make: Any, read: Any, lost: Counter[str]
) -> None:
    source = make(broker.url, TAGS, max_message_kilobytes=10_000)
    await source.connect()
    await publisher.publish("p/1/t", b'{"fill": "%s", "v": 5}' % (b"x" * 10_000_000), qos=1)
    (batch,) = await read(source)
    assert batch.value.tolist() == [5.0]
    assert not lost


async def test_waveform_with_the_time_of_its_user_property(broker: Mosquitto, publisher: Publisher, make: Any, read: Any) -> None:
    wave = {"topic": "vib", "kind": "waveform", "format": "int16le", "rate_hz": 12_000, "length": 4}
    source = make(broker.url, {"x": wave})
    await source.connect()
    samples = np.array([1, -1, 2, -2], dtype="<i2")
    await publisher.publish("vib", samples.tobytes(), qos=1, properties={"t_ns": "1800000000000000001"})
    (block,) = await read(source)
    assert isinstance(block, Waveform)
    assert (block.t_ns, block.samples.tolist(), block.quality) == (1_800_000_000_000_000_001, [1, -1, 2, -2], GOOD)
    await publisher.publish("vib", samples.tobytes()[:-2], qos=1)
    (block,) = await read(source)
    assert block.quality == Quality.BAD_LENGTH


async def test_record_that_is_no_object_is_counted(
    broker: Mosquitto, publisher: Publisher, make: Any, read: Any, lost: Counter[str]
) -> None:
    source = make(broker.url, {}, {"step": {"topic": "mes/+", "time": "$.at"}})
    await source.connect()
    for payload in (b"[1]", b"{", b'{"order": "a"}', b'{"at": "2027-01-15T08:00:00Z", "order": "b"}'):
        await publisher.publish("mes/1", payload, qos=1)
    (record,) = await read(source)
    assert isinstance(record, Record)
    assert (record.t_ns, record.fields["order"]) == (1_800_000_000_000_000_000, "b")
    assert lost == {"record_format": 2, "record_time": 1}


@pytest.mark.parametrize(("qos", "count"), [(0, 5000), (1, 50), (2, 50)])
async def test_messages_that_give_nothing_hold_up_nothing_that_follows(
    broker: Mosquitto, publisher: Publisher, make: Any, read: Any, qos: int, count: int
) -> None:
    source = make(broker.url, {"t": TAGS["t"] | {"optional": True}}, version="3.1.1", qos=qos)
    await source.connect()
    await asyncio.gather(*(publisher.publish("p/1/t", b"{}", qos=qos) for _ in range(count)))
    await publisher.publish("p/1/t", b'{"v": 5}', qos=2)
    (batch,) = await read(source)
    assert batch.value.tolist() == [5.0]


async def test_overlapping_filters_give_a_message_once(broker: Mosquitto, publisher: Publisher, make: Any, read: Any) -> None:
    source = make(broker.url, {"all": {"topic": "p/#"}, "one": {"topic": "p/1"}, "some": {"topic": "p/+"}})
    await source.connect()
    await publisher.publish("p/1", b"5", qos=1)
    await publisher.publish("p/1", b"6", qos=1)
    rows: list[tuple[int, float]] = []
    while len(rows) < 6:
        for batch in await read(source):
            rows += zip(batch.tag.tolist(), batch.value.tolist(), strict=True)
    assert rows == [(0, 5.0), (1, 5.0), (2, 5.0), (0, 6.0), (1, 6.0), (2, 6.0)]


async def test_broker_waits_at_receive_maximum(broker: Mosquitto, publisher: Publisher, make: Any, read: Any) -> None:
    source = make(broker.url, TAGS, receive_maximum=5)
    await source.connect()
    for value in range(20):
        await publisher.publish("p/1/text", b"%d" % value, qos=1)
    (first,) = await read(source)
    assert isinstance(first, Batch)
    # Only what came before our first acknowledgement tells: mosquitto 2.0.11 sends more than it may after a few of them.
    assert len(first) <= 5
    got = first.value.tolist()
    while len(got) < 20:
        (batch,) = await read(source)
        got += batch.value.tolist()
    assert got == list(range(20))


async def test_under_load_many_messages_come_in_one_batch(broker: Mosquitto, publisher: Publisher, make: Any, read: Any) -> None:
    source = make(broker.url, TAGS)
    await source.connect()
    await asyncio.gather(*(publisher.publish("p/1/text", b"%d" % value, qos=1) for value in range(500)))
    reads, got = 0, 0
    while got < 500:
        got += sum(len(batch) for batch in await read(source))
        reads += 1
    assert reads <= 50


async def test_cancelled_read_loses_nothing(broker: Mosquitto, publisher: Publisher, make: Any, read: Any) -> None:
    source = make(broker.url, TAGS)
    await source.connect()
    for value in range(20):
        reading = asyncio.create_task(source.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await publisher.publish("p/1/text", b"%d" % value, qos=1)
        (batch,) = await read(source)
        assert batch.value.tolist() == [value]
