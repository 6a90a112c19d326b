"""Commands that are imported when they are asked for: ours by their module, and those that plugins bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint
from types import MappingProxyType
from typing import Any

import click

from gateway.installed import entries


class Commands(click.Group):
    """Our own commands, and those of the installed plugins (entry point group ``gateway.commands``); ours win.

    modules   names of commands by the module that adds them to this group when it is imported
    """

    def __init__(self, *args: Any, modules: Mapping[str, Sequence[str]] = MappingProxyType({}), **named: Any) -> None:
        super().__init__(*args, **named)
        self._module_of = {name: module for module, names in modules.items() for name in names}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._module_of, *_brought()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._module_of:
            import_module(self._module_of[cmd_name])
        return super().get_command(ctx, cmd_name) or _plugin(cmd_name)


def _plugin(name: str) -> click.Command | None:
    brought = _brought().get(name)
    if brought is None:
        return None
    try:
        found = brought.load()
    except (ImportError, AttributeError) as exc:
        raise click.ClickException(f"command {name!r} cannot be imported: {exc}") from exc
    if not isinstance(found, click.Command):
        raise click.ClickException(f"{brought.value} is no command")
    return found


def _brought() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entries("gateway.commands")}
