"""A source outside the daemon: for commands that look at a device, by its address or as a configuration names it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import yaml
from pydantic import ValidationError

from gateway import registry
from gateway.clock import SystemClock
from gateway.commands.database import Refused
from gateway.config import Settings
from gateway.config.secrets import Secrets
from gateway.config.settings import SourceSettings
from gateway.contract import Health, RecordSpec, SourceContext, SourcePlugin, Tag

STATE_DIR = Path("/var/lib/lineside")


def by_address(address: str, given: Sequence[str]) -> tuple[SourcePlugin, Any]:
    """The driver for an address, and its options. `given`: ``key=value`` or ``key.key=value``, values as in YAML.

    raises Refused   no driver is for such an address, or the options make no sense to it
    """
    scheme = urlsplit(address).scheme
    plugins = {name: registry.source(name) for name in registry.names("sources")}
    fitting = [plugin for plugin in plugins.values() if scheme in plugin.schemes]
    if not fitting:
        known = sorted({f"{known}://" for plugin in plugins.values() for known in plugin.schemes})
        raise Refused(f"no driver is for {address!r}; known are {', '.join(known)}")
    plugin = fitting[0]
    try:
        return plugin, plugin.options.model_validate({plugin.name: address, **_options(given)})
    except ValidationError as exc:
        lines = [
            f"{'.'.join(map(str, error['loc'])) or plugin.name}: {error['msg'].removeprefix('Value error, ')}" for error in exc.errors()
        ]
        raise Refused("\n".join(lines)) from exc


def _problem(error: Any, name: str) -> str:
    return f"{'.'.join(map(str, error['loc'])) or name}: {error['msg'].removeprefix('Value error, ')}"


def by_name(settings: Settings, machine: str) -> SourceSettings:
    """Raises Refused."""
    for source in settings.sources:
        if source.machine == machine:
            return source
    known = ", ".join(source.machine for source in settings.sources) or "none"
    raise Refused(f"machine {machine!r} has no source in {settings.path}; those that have: {known}")


def _options(given: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{text!r}: write KEY=VALUE, for example timeout=2s", param_hint="--option")
        place = found
        *outer, last = key.split(".")
        for name in outer:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise click.BadParameter(f"{name} has a value already, so {key} cannot have one", param_hint="--option")
        place[last] = _value(key, value)
    return found


def _value(key: str, text: str) -> Any:
    try:
        return yaml.safe_load(text) if text else ""
    except yaml.YAMLError as exc:
        problem = f"{text!r} is no value in YAML; quotes make it one: --option '{key}=\"...\"'"
        raise click.BadParameter(problem, param_hint="--option") from exc


def context(
    name: str,
    *,
    tags: tuple[Tag, ...] = (),
    records: tuple[RecordSpec, ...] = (),
    state_dir: Path,
    secrets: Path,
    told: Callable[[Health], None] = lambda _health: None,
) -> SourceContext:
    """For a source of a command: what it drops or skips is nobody's loss.

    state_dir   of the gateway, for its certificates; the source's own notes go into a folder beside the daemon's
    secrets     folder the configuration lies in
    """
    return SourceContext(
        name=name,
        tags=tags,
        records=records,
        clock=SystemClock(),
        state_dir=state_dir / "commands" / name,
        pki=state_dir / "pki",
        secret=Secrets(secrets),
        dropped=lambda _reason, _count: None,
        skipped=lambda _count: None,
        health=told,
    )


def usable_state_dir(wanted: Path | None) -> Path:
    """As asked for; else the gateway's if we may write there, else one of the user's own."""
    if wanted is not None:
        return wanted
    if os.access(STATE_DIR, os.W_OK):
        return STATE_DIR
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(home) / "lineside"
