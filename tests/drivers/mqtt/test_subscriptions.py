"""Templates, shared subscriptions, sessions that are kept or not, and a broker that forgot us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.broker.topics import fill
from gateway import registry
from gateway.contract import ConfigError, Health, Quality, Source, Trouble
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.mqtt import Amqtt, Mosquitto, NatsMqtt, Publisher, require_mosquitto

TAGS = {"t": {"topic": "p/t"}}


@pytest.fixture
async def forgetful() -> AsyncIterator[Mosquitto]:
    """Knows nothing of us after a restart."""
    require_mosquitto()
    async with Mosquitto(durable=False, extra="persistence false") as server:
        yield server


async def value(source: Source, read: Any) -> float:
    (batch,) = await read(source)
    (found,) = batch.value.tolist()
    return float(found)


@pytest.mark.parametrize(
    ("template", "topic"),
    [
        ("plant/{machine}/{tag}/value", "plant/press-1/oil/value"),
        ("{{{tag}}}/+/#", "{oil}/+/#"),
        ("plant/x", "plant/x"),
    ],
)
def test_template(template: str, topic: str) -> None:
    assert fill(template, machine="press-1", tag="oil") == topic


@pytest.mark.parametrize("template", ["a/{", "a/}", "a/{}", "a/{Tag}", "a/{record}", "{{tag}"])
def test_template_that_stands_for_nothing(template: str) -> None:
    with pytest.raises(ValueError, match="stands for nothing"):
        fill(template, machine="m", tag="t")


async def test_a_template_reads_every_tag_of_its_machine(broker: Mosquitto, publisher: Publisher, read: Any) -> None:
    plugin = registry.source("mqtt")
    tags: dict[str, dict[str, Any]] = {"oil": {"value": "$.v"}, "speed": {}, "odd": {"topic": "old/{machine}/{{x}}"}}
    records = {"step": {"topic": "mes/{machine}/{record}"}}
    context = source_context(plugin, tags, records=records, machine="press-1")
    source = plugin.build(plugin.options.model_validate({"mqtt": broker.url, "topic": "plant/{machine}/{tag}"}), context)
    await source.connect()
    for topic, payload in (("plant/press-1/oil", b'{"v": 41}'), ("plant/press-1/speed", b"1480"), ("old/press-1/{x}", b"7")):
        await publisher.publish(topic, payload, qos=1)
        await publisher.publish(topic.replace("press-1", "press-2"), payload, qos=1)
    await publisher.publish("mes/press-1/step", b"{}", qos=1)
    found: list[float] = []
    while True:
        batch, *records_found = await read(source)
        found += batch.value.tolist() if hasattr(batch, "value") else []
        if records_found or not hasattr(batch, "value"):
            break
    await source.close()
    assert found == [41, 1480, 7]


def test_a_tag_without_any_topic_is_an_error_of_the_configuration() -> None:
    plugin = registry.source("mqtt")
    with pytest.raises(ConfigError, match="m1/t has no topic"):
        plugin.build(plugin.options.model_validate({"mqtt": "mqtt://h"}), source_context(plugin, {"t": {}}))


async def test_gateways_of_one_group_share_the_messages(broker: Mosquitto, publisher: Publisher, read: Any, tmp_path: Path) -> None:
    plugin = registry.source("mqtt")
    options = plugin.options.model_validate({"mqtt": broker.url, "share": "edge", "birth": {"topic": "p/state"}})
    sources = [plugin.build(options, source_context(plugin, TAGS, state_dir=tmp_path / str(n))) for n in range(2)]
    for source in sources:
        await source.connect()
    for number in range(20):
        await publisher.publish("p/t", b"%d" % number, qos=1)
    await publisher.publish("p/state", b"offline", qos=1)
    found: list[list[float]] = [[], []]
    for source, mine in zip(sources, found, strict=True):
        while not mine or mine[-1] == mine[-1]:  # until the state of the device, which both are told
            for batch in await read(source):
                mine += batch.value.tolist()
        await source.close()
    assert all(len(mine) > 1 for mine in found)
    assert sorted(value for mine in found for value in mine[:-1]) == list(range(20))


@pytest.mark.parametrize("topic", ["mes/#", "mes/+"])
async def test_a_record_under_the_filter_of_a_tag_is_subscribed_to_as_records_are(
    broker: Mosquitto, publisher: Publisher, make: Any, read: Any, topic: str
) -> None:
    source = make(broker.url, {"n": {"topic": topic, "value": "$.n", "optional": True}}, {"step": {"topic": "mes/step"}}, qos=0)
    await source.connect()
    await source.close()
    await publisher.publish("mes/step", b"{}", qos=1)
    await source.connect()
    (record,) = await read(source)
    assert record.source == "m1/step"


async def test_the_state_of_a_device_under_a_shared_filter_is_told_to_every_gateway(
    broker: Mosquitto, publisher: Publisher, read: Any, tmp_path: Path
) -> None:
    await publisher.publish("p/state", b"offline", qos=1, retain=True)
    plugin = registry.source("mqtt")
    options = plugin.options.model_validate({"mqtt": broker.url, "share": "edge", "birth": {"topic": "p/state"}})
    for number in range(2):
        source = plugin.build(options, source_context(plugin, {"t": {"topic": "p/#"}}, state_dir=tmp_path / str(number)))
        await source.connect()
        (batch,) = await read(source)
        assert set(batch.quality.tolist()) == {Quality.BAD_DEVICE}
        await source.close()


async def test_a_broker_of_3_1_1_cannot_share(amqtt: Amqtt, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.broker.broker.SILENT_SECONDS", 0.3)
    with pytest.raises(ConfigError, match=r"share needs version 5.* speaks 3.1.1"):
        await make(amqtt.url, TAGS, share="edge").connect()


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("session", ["keep", "clean"])
async def test_a_session_for_tags_is_kept_if_wanted(
    broker: Mosquitto, publisher: Publisher, make: Any, read: Any, session: str, version: str
) -> None:
    source = make(broker.url, TAGS, session=session, version=version)
    await source.connect()
    await source.close()
    await publisher.publish("p/t", b"1", qos=1)
    await source.connect()
    await publisher.publish("p/t", b"2", qos=1)
    assert await value(source, read) == (1 if session == "keep" else 2)


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_a_broker_that_forgot_our_session_is_subscribed_to_again(forgetful: Mosquitto, make: Any, read: Any, version: str) -> None:
    source = make(forgetful.url, TAGS, {"step": {"topic": "mes/+"}}, version=version)
    for number in range(3):
        await source.connect()
        async with Publisher(forgetful.url) as publisher:
            await publisher.publish("p/t", b"%d" % number, qos=1)
            assert await value(source, read) == number
            await publisher.publish("mes/1", b"{}", qos=1)
        (record,) = await read(source)
        assert record.source == "m1/step"
        await forgetful.kill()
        await source.close()
        await forgetful.start()


async def test_amqtt_killed_and_started_anew_is_subscribed_to_again(amqtt: Amqtt, make: Any, read: Any) -> None:
    source = make(amqtt.url, TAGS, version="3.1.1")
    await source.connect()
    await amqtt.stop()
    await source.close()
    await amqtt.start()
    await source.connect()
    async with Publisher(amqtt.url) as publisher:
        await publisher.publish("p/t", b"5", qos=1)
    assert await value(source, read) == 5


async def test_a_topic_the_broker_refuses_is_told_of_and_its_tag_bad(read: Any) -> None:
    told: list[Health] = []
    plugin = registry.source("mqtt")
    rights = '{ user: edge, password: s3cret, permissions: { subscribe: { deny: ["no.>"], allow: [">"] } } }'
    async with NatsMqtt(rights=f"authorization {{ users: [ {rights} ] }}") as server:
        given = {"mqtt": server.url, "user": "edge", "password": {"secret": "good"}}
        tags = {"a": {"topic": "no/1"}, "b": {"topic": "yes/1"}}
        context = source_context(plugin, tags, told=told, secrets={"good": "s3cret"})
        source = plugin.build(plugin.options.model_validate(given), context)
        await source.connect()
        (batch,) = await read(source)
        await source.close()
    assert (batch.tag.tolist(), batch.quality.tolist()) == ([0], [Quality.BAD_DEVICE])
    (health,) = told
    assert (health.trouble, health.active, health.facts) == (Trouble.DEGRADED, True, {"topics": ["no/1"]})


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_a_broker_that_gives_records_qos_0_is_told_of(version: str) -> None:
    require_mosquitto()
    told: list[Health] = []
    plugin = registry.source("mqtt")
    async with Mosquitto(extra="max_qos 0") as server:
        context = source_context(plugin, TAGS, records={"step": {"topic": "mes/+"}}, told=told)
        source = plugin.build(plugin.options.model_validate({"mqtt": server.url, "version": version}), context)
        await source.connect()
        await source.close()
    (health,) = told
    assert (health.trouble, health.active, health.facts) == (Trouble.DEGRADED, True, {"topics": ["mes/+"]})
    assert "QoS 0" in health.why


async def test_nothing_refused_is_told_too(broker: Mosquitto) -> None:
    told: list[Health] = []
    plugin = registry.source("mqtt")
    source = plugin.build(plugin.options.model_validate({"mqtt": broker.url}), source_context(plugin, TAGS, told=told))
    async with asyncio.timeout(5):
        await source.connect()
    await source.close()
    assert told == [Health(trouble=Trouble.DEGRADED, active=False)]
