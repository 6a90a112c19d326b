"""What edge nodes have, as rows of a file of tags; nothing is said of a primary host."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from drivers.sparkplug import plugin
from gateway.contract import Found, NotConnected
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.mqtt import Mosquitto
from gateway.testkit.servers.ports import free_port
from gateway.testkit.servers.sparkplug import BOOLEAN, DOUBLE, INT64, STRING, EdgeNode

MODULE = import_module("drivers.sparkplug.browse")
DEVICES = {
    "": {"CPU/Load": (DOUBLE, 1.5), "Node Control/Rebirth": (BOOLEAN, False)},
    "press": {"Mode": (STRING, "RUN"), "Count": (INT64, -3)},
}
SHOWN = [("cpu_load", "1.5", "Double"), ("mode", "RUN", "String"), ("count", "-3", "Int64")]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "LISTEN_SECONDS", 0.3)
    monkeypatch.setattr(MODULE, "ANSWER_SECONDS", 0.3)


async def browse(url: str, globs: str = "", **options: Any) -> list[Found]:
    given = plugin.options.model_validate({"sparkplug": url} | options)
    assert plugin.browse is not None
    return [found async for found in plugin.browse(given, source_context(plugin, {}), globs)]


async def test_a_node_that_is_named_is_asked(broker: Mosquitto) -> None:
    async with EdgeNode(broker.url, "plant", "edge", DEVICES) as node:
        found = await browse(broker.url, group="plant", node="edge")
        assert [(one.name, one.value, one.note) for one in found] == SHOWN
        assert found[1].options == {"group": "plant", "node": "edge", "device": "press", "metric": "Mode"}
        assert [one.name for one in await browse(broker.url, "plant/*/press/C*", group="plant", node="edge")] == ["count"]
        assert node.asked == 2


async def test_what_is_found_is_a_tag(broker: Mosquitto) -> None:
    async with EdgeNode(broker.url, "plant", "edge", DEVICES):
        for one in await browse(broker.url, group="plant", node="edge"):
            assert plugin.tag.model_validate(one.options)


async def test_a_node_that_is_heard_is_asked(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "LISTEN_SECONDS", 2.0)
    async with EdgeNode(broker.url, "plant", "edge", DEVICES) as node:
        given = plugin.options.model_validate({"sparkplug": broker.url})
        assert plugin.browse is not None
        found = plugin.browse(given, source_context(plugin, {}), "")
        node._loop.call_later(0.3, lambda: node.data("", **{"CPU/Load": 2.5}))
        assert (await anext(found)).value == "2.5"
        await found.aclose()  # type: ignore[attr-defined]
        assert node.asked == 1


async def test_nobody_there_is_not_connected() -> None:
    with pytest.raises(NotConnected, match="connection refused"):
        await browse(f"mqtt://127.0.0.1:{free_port()}")
