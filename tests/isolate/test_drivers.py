"""Our own drivers in a process of their own: the battery they go through in ours, where it is about what crosses the border."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from gateway import registry
from gateway.config.secrets import references
from gateway.contract import Source, SourceContext, SourcePlugin
from gateway.isolate.source import IsolatedSource, Isolation
from gateway.testkit.checks import source_checks


@pytest.mark.parametrize("name", ["http", "modbus", pytest.param("mqtt", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "check",
    [
        source_checks.fresh_source_reads_after_a_restart_of_the_server,
        source_checks.same_source_reads_again_after_close_and_connect,
    ],
)
async def test_battery(name: str, check: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    rig_module = import_module(f"gateway.testkit.rigs.{name}")
    made: list[IsolatedSource] = []
    plugin = registry.source(name)

    def build(options: Any, context: SourceContext) -> Source:
        secrets = tuple(ref for _, ref in references(options))
        isolation = Isolation(plugin=f"drivers.{name}:plugin", megabytes=256, silent_seconds=10, secrets=secrets)
        made.append(IsolatedSource(options, context, isolation, ended=lambda _reason: None))
        return made[-1]

    def isolated(_name: str) -> SourcePlugin:
        return SourcePlugin(name=name, options=plugin.options, tag=plugin.tag, record=plugin.record, build=build)

    rig = rig_module.Rig()
    if name == "http" and check is not source_checks.same_source_reads_again_after_close_and_connect:
        pytest.skip("nobody has to be there: the peer comes to us")
    monkeypatch.setattr(rig_module, "registry", type("Registry", (), {"source": staticmethod(isolated)}))
    try:
        await check(rig)
    finally:
        for source in made:
            await source.end()
