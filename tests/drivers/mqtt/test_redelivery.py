"""The next `read` is the acknowledgement; what was not acknowledged comes again, what was does not."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import Source
from gateway.testkit.servers.mqtt import Mosquitto, Publisher

RECORDS = {"step": {"topic": "mes/+"}}
both_versions = pytest.mark.parametrize("version", ["3.1.1", "5"])
acknowledged = pytest.mark.parametrize("qos", [1, 2])


async def publish(broker: Mosquitto, *numbers: int, qos: int) -> None:
    async with Publisher(broker.url) as publisher:
        for number in numbers:
            await publisher.publish("mes/1", b'{"n": %d}' % number, qos=qos)
    await broker.save()


async def numbers(read: Any, source: Source) -> list[int]:
    return [record.fields["n"] for record in await read(source)]


async def begin_read(source: Source) -> None:
    """As far as it goes without anything new: it has acknowledged."""
    reading = asyncio.create_task(source.read())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


@acknowledged
@both_versions
async def test_record_not_acknowledged_comes_again_after_the_broker_was_killed(
    broker: Mosquitto, make: Any, read: Any, version: str, qos: int
) -> None:
    source = make(broker.url, {}, RECORDS, version=version, qos=qos)
    await source.connect()
    await publish(broker, 1, qos=qos)
    assert await numbers(read, source) == [1]
    await broker.save()
    await broker.kill()
    await source.close()
    await broker.start()
    again = make(broker.url, {}, RECORDS, version=version, qos=qos)
    await again.connect()
    assert await numbers(read, again) == [1]


@acknowledged
@both_versions
async def test_record_not_acknowledged_comes_again_after_we_left(broker: Mosquitto, make: Any, read: Any, version: str, qos: int) -> None:
    source = make(broker.url, {}, RECORDS, version=version, qos=qos)
    await source.connect()
    await publish(broker, 1, qos=qos)
    assert await numbers(read, source) == [1]
    await source.close()
    await source.connect()
    assert await numbers(read, source) == [1]


@acknowledged
@both_versions
async def test_record_acknowledged_by_the_next_read_does_not_come_again(
    broker: Mosquitto, make: Any, read: Any, version: str, qos: int
) -> None:
    source = make(broker.url, {}, RECORDS, version=version, qos=qos)
    await source.connect()
    await publish(broker, 1, qos=qos)
    assert await numbers(read, source) == [1]
    await begin_read(source)
    await source.close()
    await publish(broker, 2, qos=qos)
    again = make(broker.url, {}, RECORDS, version=version, qos=qos)
    await again.connect()
    assert await numbers(read, again) == [2]


async def test_qos_2_taken_over_while_the_answer_was_lost_does_not_come_again(broker: Mosquitto, make: Any, read: Any) -> None:
    source = make(broker.url, {}, RECORDS, qos=2)
    await source.connect()
    await publish(broker, 1, qos=2)
    assert await numbers(read, source) == [1]
    broker.freeze()
    await begin_read(source)
    await broker.kill()
    await source.close()
    await broker.start()
    await source.connect()
    await publish(broker, 2, qos=2)
    assert await numbers(read, source) == [2]


async def test_what_is_published_while_we_are_away_comes_later(broker: Mosquitto, make: Any, read: Any) -> None:
    source = make(broker.url, {}, RECORDS)
    await source.connect()
    await source.close()
    await publish(broker, 1, 2, 3, qos=1)
    await source.connect()
    got: list[int] = []
    while len(got) < 3:
        got += await numbers(read, source)
    assert got == [1, 2, 3]


async def test_more_than_is_kept_before_an_answer_comes_all_the_same(
    broker: Mosquitto, make: Any, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.broker.session.EARLY_BYTES", 100)
    earlier = make(broker.url, {}, RECORDS | {"old": {"topic": "old/+"}})
    await earlier.connect()
    await earlier.close()
    await publish(broker, *range(50), qos=1)
    source = make(broker.url, {}, RECORDS)
    await source.connect()
    got: list[int] = []
    while len(got) < 50:
        got += await numbers(read, source)
    assert got == list(range(50))
    async with Publisher(broker.url) as publisher:
        await publisher.publish("old/1", b'{"n": 51}', qos=1)
    await publish(broker, 52, qos=1)
    assert await numbers(read, source) == [52]


async def test_without_records_nothing_is_kept_while_we_are_away(broker: Mosquitto, make: Any, read: Any) -> None:
    source = make(broker.url, {"n": {"topic": "mes/+", "value": "$.n"}})
    await source.connect()
    await source.close()
    await publish(broker, 1, qos=1)
    await source.connect()
    await publish(broker, 2, qos=1)
    (batch,) = await read(source)
    assert batch.value.tolist() == [2]


async def test_subscriptions_of_an_earlier_configuration_are_taken_back(
    broker: Mosquitto, make: Any, read: Any, lost: Counter[str], tmp_path: Path
) -> None:
    earlier = make(broker.url, {}, RECORDS | {"old": {"topic": "old/+"}})
    await earlier.connect()
    await earlier.close()
    client_id = json.loads((tmp_path / "session.json").read_text())["client_id"]
    source = make(broker.url, {}, RECORDS)
    await source.connect()
    async with Publisher(broker.url) as publisher:
        await publisher.publish("old/1", b"{}", qos=1)
    await publish(broker, 1, qos=1)
    assert await numbers(read, source) == [1]
    assert not lost
    assert json.loads((tmp_path / "session.json").read_text()) == {"client_id": client_id, "filters": ["mes/+"]}


async def test_a_session_file_that_cannot_be_read_is_begun_anew(broker: Mosquitto, make: Any, tmp_path: Path) -> None:
    (tmp_path / "session.json").write_text("{")
    source = make(broker.url, {}, RECORDS)
    await source.connect()
    assert json.loads((tmp_path / "session.json").read_text())["client_id"].startswith("lineside-m1-")
