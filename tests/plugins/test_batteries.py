"""Every installed plugin goes through the battery of its kind. A plugin without a rig fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any

import pytest

from gateway import registry
from gateway.testkit.checks import detector_checks, exemptions, source_checks, uplink_checks

Check = Callable[[Any], Any]
_BATTERIES: dict[registry.Kind, tuple[tuple[Check, ...], frozenset[str]]] = {
    "sources": (source_checks.CHECKS, source_checks.NEED_A_PEER),
    "detectors": (detector_checks.CHECKS, frozenset()),
    "uplinks": (uplink_checks.CHECKS, frozenset()),
}
_ON_UVLOOP: dict[registry.Kind, tuple[Check, ...]] = {
    "sources": (
        source_checks.same_source_reads_again_after_close_and_connect,
        source_checks.fresh_source_reads_after_a_restart_of_the_server,
    ),
    "uplinks": (
        uplink_checks.every_event_has_its_outcome_in_order,
        uplink_checks.receiver_killed_between_sends_loses_nothing,
    ),
}
_PLUGINS = [(kind, name) for kind in _BATTERIES for name in registry.names(kind)]


def _rig(name: str) -> Any:
    return import_module(f"gateway.testkit.rigs.{name}").Rig


@cache
def _detector_rig(name: str) -> Any:
    """One for all checks of this process: they share what a fresh detector tells of its streams."""
    return _rig(name)()


@pytest.mark.parametrize(
    ("kind", "name", "check"),
    [pytest.param(kind, name, check, id=f"{name}-{check.__name__}") for kind, name in _PLUGINS for check in _BATTERIES[kind][0]],
)
async def test_battery(kind: registry.Kind, name: str, check: Check) -> None:
    rig = _detector_rig(name) if kind == "detectors" else _rig(name)()
    if reason := exemptions(rig, *_BATTERIES[kind]).get(check.__name__):
        pytest.skip(reason)
    if iscoroutinefunction(check):
        await check(rig)
    else:
        check(rig)


@pytest.mark.parametrize(
    ("name", "check"),
    [pytest.param(name, check, id=f"{name}-{check.__name__}") for kind, name in _PLUGINS for check in _ON_UVLOOP.get(kind, ())],
)
def test_on_the_loop_that_a_gateway_runs_on(name: str, check: Check) -> None:
    """`lineside run` takes uvloop where it is installed, whose transports are not asyncio's."""
    import uvloop

    rig = _rig(name)()
    if not getattr(rig, "can_be_dead", True) and check.__name__ in source_checks.NEED_A_PEER:
        pytest.skip("it has no peer")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(check(rig))


@pytest.mark.parametrize(("kind", "name"), _PLUGINS)
def test_exemptions_name_a_check_and_the_readme_gives_the_reason(kind: registry.Kind, name: str) -> None:
    readme = _readme(kind, name)
    for check, reason in exemptions(_rig(name), *_BATTERIES[kind]).items():
        row = next((line for line in readme.splitlines() if check in line), "")
        assert reason in row, f"{name}: the README's grid must say of `{check}`: exempt, {reason}"


def _readme(kind: registry.Kind, name: str) -> str:
    from pathlib import Path

    module = import_module(registry.load(kind, name).build.__module__)
    return Path(str(module.__file__)).with_name("README.md").read_text(encoding="utf-8")
