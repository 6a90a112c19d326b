"""What edge nodes have, as rows of a file of tags; nothing is said of a primary host."""

from __future__ import annotations

from collections.abc import AsyncIterator
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


def browse(url: str, globs: str = "", **options: Any) -> AsyncIterator[Found]:
    assert plugin.browse is not None
    return plugin.browse(plugin.options.model_validate({"sparkplug": url} | options), source_context(plugin, {}), globs)


async def test_a_node_that_is_named_is_asked(broker: Mosquitto) -> None:
    async with EdgeNode(broker.url, "plant", "edge", DEVICES) as node:
        found = [one async for one in browse(broker.url, group="plant", node="edge")]
        assert [(one.name, one.value, one.note) for one in found] == SHOWN
        assert found[1].options == {"group": "plant", "node": "edge", "device": "press", "metric": "Mode"}
        assert [one.name async for one in browse(broker.url, "plant/*/press/C*", group="plant", node="edge")] == ["count"]
        assert node.asked == 2


async def test_what_is_found_is_a_tag(broker: Mosquitto) -> None:
    async with EdgeNode(broker.url, "plant", "edge", DEVICES):
        tags = [plugin.tag.model_validate(one.options) async for one in browse(broker.url, group="plant", node="edge")]
    assert len(tags) == 3


async def test_a_node_that_is_heard_is_asked(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "LISTEN_SECONDS", 5.0)
    async with EdgeNode(broker.url, "plant", "edge", DEVICES) as node:
        found = browse(broker.url)
        node._loop.call_later(0.3, lambda: node.data("", **{"CPU/Load": 2.5}))
        assert (await anext(found)).value == "2.5"
        await found.aclose()  # type: ignore[attr-defined]
        assert node.asked == 1


async def test_nobody_there_is_not_connected() -> None:
    with pytest.raises(NotConnected, match="connection refused"):
        await anext(browse(f"mqtt://127.0.0.1:{free_port()}"))
