"""Every plugin's folder: README, a sample that loads, imports that stay inside the rules."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gateway import registry
from gateway.config import load
from gateway.contract import DetectorPlugin, Plugin, SourcePlugin, UplinkPlugin

_KINDS: tuple[registry.Kind, ...] = ("sources", "detectors", "uplinks")
_PLUGINS = [pytest.param(kind, name, id=f"{kind[:-1]}-{name}") for kind in _KINDS for name in registry.names(kind)]
_HEAVY = ("asyncua", "scipy", "river", "paho", "pymodbus", "nats", "aiohttp", "cryptography")
_MAY_IMPORT = {
    "sources": ("gateway.contract", "drivers.rows", "drivers.broker", "drivers.certificates"),
    "detectors": ("gateway.contract", "models.npz"),
    "uplinks": ("gateway.contract", "gateway.events"),
}
every_plugin = pytest.mark.parametrize(("kind", "name"), _PLUGINS)


def _module(kind: registry.Kind, name: str) -> str:
    return registry.load(kind, name).build.__module__


def _folder(kind: registry.Kind, name: str) -> Path:
    return Path(str(import_module(_module(kind, name)).__file__)).parent


def _readme(kind: registry.Kind, name: str) -> str:
    return (_folder(kind, name) / "README.md").read_text(encoding="utf-8")


def _models(plugin: Plugin) -> list[type[BaseModel]]:
    if isinstance(plugin, SourcePlugin):
        return [model for model in (plugin.options, plugin.tag, plugin.record) if model is not None]
    return [plugin.options]


def _own_options(model: type[BaseModel]) -> list[str]:
    """What the plugin's model adds to the common one of its kind, as it is written in YAML."""
    common = {name for base in model.__mro__[1:] if base.__module__ == "gateway.contract.options" for name in base.model_fields}  # type: ignore[attr-defined]
    return [field.alias or name for name, field in model.model_fields.items() if name not in common]


@every_plugin
def test_readme_holds_the_sample_verbatim(kind: registry.Kind, name: str) -> None:
    sample = (_folder(kind, name) / "sample.yaml").read_text(encoding="utf-8")
    fences = re.findall(r"```yaml\n(.*?)```", _readme(kind, name), flags=re.DOTALL)
    assert sample in fences


@every_plugin
def test_sample_is_a_configuration_that_uses_the_plugin(kind: registry.Kind, name: str) -> None:
    settings = load(_folder(kind, name) / "sample.yaml", secrets=False)
    used: dict[str, list[Any]] = {"sources": [*settings.sources], "detectors": [*settings.watches], "uplinks": [*settings.destinations]}
    assert name in {part.plugin.name for part in used[kind]}


@every_plugin
def test_readme_names_every_option(kind: registry.Kind, name: str) -> None:
    readme = _readme(kind, name)
    options = {option for model in _models(registry.load(kind, name)) for option in _own_options(model)}
    assert not [option for option in sorted(options) if f"`{option}`" not in readme]


@every_plugin
def test_readme_has_the_grid_of_checks(kind: registry.Kind, name: str) -> None:
    assert re.search(r"^## What is checked", _readme(kind, name), flags=re.MULTILINE)


@every_plugin
def test_folder_imports_the_contract_and_its_own_only(kind: registry.Kind, name: str) -> None:
    folder, package = _folder(kind, name), _module(kind, name)
    allowed = (package, *_MAY_IMPORT[kind])
    foreign = [f"{path.name}: {target}" for path in sorted(folder.rglob("*.py")) for target in _ours(path) if not _inside(target, allowed)]
    assert not foreign


def _ours(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            inside = node.module in ("gateway", "drivers", "models")
            found += [f"{node.module}.{alias.name}" for alias in node.names] if inside else [node.module or ""]
    return [target for target in found if target.split(".")[0] in ("gateway", "drivers", "models")]


def _inside(target: str, allowed: tuple[str, ...]) -> bool:
    return any(target == prefix or target.startswith(f"{prefix}.") for prefix in allowed)


def test_importing_the_plugin_imports_no_heavy_library() -> None:
    """`lineside check` and a gateway that does not use it pay nothing for it. Each in a process that has the contract and nothing else."""
    probe = f"""
import importlib, os, sys, gateway.contract
for name in sys.argv[1:]:
    if not os.fork():
        importlib.import_module(name)
        print(name, *[heavy for heavy in {_HEAVY!r} if heavy in sys.modules], flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, name
"""
    modules = [_module(kind, name) for kind in _KINDS for name in registry.names(kind)]
    done = subprocess.run([sys.executable, "-c", probe, *modules], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == modules


def test_there_are_plugins_of_every_kind() -> None:
    kinds = {type(registry.load(kind, name)) for kind in _KINDS for name in registry.names(kind)}
    assert kinds == {SourcePlugin, DetectorPlugin, UplinkPlugin}
