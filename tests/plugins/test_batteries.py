"""Every installed plugin goes through the battery of its kind. A plugin without a rig fails."""

from __future__ import annotations

from collections.abc import Callable
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
_PLUGINS = [(kind, name) for kind in _BATTERIES for name in registry.names(kind)]


def _rig(name: str) -> Any:
    return import_module(f"gateway.testkit.rigs.{name}").Rig


@pytest.mark.parametrize(
    ("kind", "name", "check"),
    [pytest.param(kind, name, check, id=f"{name}-{check.__name__}") for kind, name in _PLUGINS for check in _BATTERIES[kind][0]],
)
async def test_battery(kind: registry.Kind, name: str, check: Check) -> None:
    rig = _rig(name)()
    if reason := exemptions(rig, *_BATTERIES[kind]).get(check.__name__):
        pytest.skip(reason)
    if iscoroutinefunction(check):
        await check(rig)
    else:
        check(rig)


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
