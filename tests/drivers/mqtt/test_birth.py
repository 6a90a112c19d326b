"""A device says that it is there, the broker says in its will that it is not: its tags are bad until it is back."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.broker.framing import Publish
from drivers.mqtt.config import MqttOptions, MqttTag
from drivers.mqtt.gathered import Gathered
from drivers.mqtt.routes import Routes
from gateway import registry
from gateway.contract import GOOD, Health, Quality, Tag, Trouble
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.mqtt import Mosquitto, Publisher

BAD = int(Quality.BAD_DEVICE)
OFFLINE = Health(trouble=Trouble.LOST, active=True, device="s", why="it says 'offline'")
ONLINE = Health(trouble=Trouble.LOST, active=False, device="s")


def message(topic: str, payload: bytes) -> Publish:
    return topic.encode(), payload, 0x30, b"", b""


def routes(birth: dict[str, Any] | None = None) -> Routes:
    options = MqttOptions.model_validate({"mqtt": "mqtt://h", "birth": birth or {"topic": "s"}})
    wave = MqttTag.model_validate({"topic": "w", "kind": "waveform", "format": "int8", "rate_hz": 10})
    return Routes(
        options, [Tag(0, "m", "t", MqttTag(topic="t")), Tag(1, "m", "u", MqttTag(topic="u")), Tag(2, "m", "w", wave)], [], machine="m"
    )


def qualities(found: Gathered) -> list[tuple[int, int]]:
    return [(tag, quality) for tag, _, _, quality in found.readings]


def test_offline_makes_every_tag_bad_until_online() -> None:
    those = routes()
    found = those.decode([message("t", b"1"), message("s", b"offline"), message("t", b"2"), message("w", b"\x01")], 7)
    assert qualities(found) == [(0, GOOD), (0, BAD), (1, BAD), (0, BAD)]
    assert [block.quality for block in found.blocks] == [BAD]
    assert found.health == [OFFLINE]
    found = those.decode([message("t", b"3"), message("s", b"online"), message("t", b"4"), message("w", b"\x01")], 8)
    assert qualities(found) == [(0, BAD), (0, GOOD)]
    assert [block.quality for block in found.blocks] == [GOOD]
    assert found.health == [ONLINE]


def test_a_bom_before_the_word_says_nothing() -> None:
    assert routes().decode([message("s", b"\xef\xbb\xbfoffline")], 7).health == [OFFLINE]


def test_offline_twice_is_one_batch_of_bad_readings() -> None:
    found = routes().decode([message("s", b"offline"), message("s", b"offline")], 7)
    assert qualities(found) == [(0, BAD), (1, BAD)]
    assert found.health == [OFFLINE, OFFLINE]


@pytest.mark.parametrize("payload", [b"asleep", b"\xff", b""])
def test_another_word_says_nothing(payload: bytes) -> None:
    found = routes().decode([message("s", payload), message("t", b"1")], 7)
    assert (qualities(found), found.health, found.lost) == ([(0, GOOD)], [], {"birth_unknown": 1})


@pytest.mark.parametrize(("payload", "away"), [(b'{"up": false}', True), (b'{"up": true}', False), (b"{", None), (b"{}", None)])
def test_the_word_may_stand_in_json(payload: bytes, away: bool | None) -> None:
    found = routes({"topic": "s", "value": "$.up", "online": "true", "offline": "false"}).decode([message("s", payload)], 7)
    assert [health.active for health in found.health] == ([] if away is None else [away])


async def test_the_will_of_a_device_that_dies_and_what_was_retained_before_we_came(broker: Mosquitto, read: Any) -> None:
    told: list[Health] = []
    plugin = registry.source("mqtt")
    context = source_context(plugin, {"oil": {}}, machine="press-1", told=told)
    given = {"mqtt": broker.url, "topic": "plant/{machine}/{tag}", "birth": {"topic": "plant/{machine}/state"}}
    source = plugin.build(plugin.options.model_validate(given), context)
    async with Publisher(broker.url) as device:
        await device.publish("plant/press-1/state", b"offline", qos=1, retain=True)
        await source.connect()
        (batch,) = await read(source)
        assert (batch.tag.tolist(), batch.quality.tolist()) == ([0], [BAD])
        await device.publish("plant/press-1/state", b"online", qos=1, retain=True)
        await device.publish("plant/press-1/oil", b"41.5", qos=1)
        (batch,) = await read(source)
        assert (batch.value.tolist(), batch.quality.tolist()) == ([41.5], [GOOD])
    await source.close()
    assert [(health.active, health.device) for health in told if health.trouble is Trouble.LOST] == [
        (True, "plant/press-1/state"),
        (False, "plant/press-1/state"),
    ]
