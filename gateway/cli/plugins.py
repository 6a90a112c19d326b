"""Commands that plugins bring (entry point group ``gateway.commands``): each is imported when it is asked for."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import click

from gateway.installed import entries


class Commands(click.Group):
    """Our own commands, and those of the installed plugins; ours win."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_brought()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None or (brought := _brought().get(cmd_name)) is None:
            return own
        try:
            found = brought.load()
        except (ImportError, AttributeError) as exc:
            raise click.ClickException(f"command {cmd_name!r} cannot be imported: {exc}") from exc
        if not isinstance(found, click.Command):
            raise click.ClickException(f"{brought.value} is no command")
        return found


def _brought() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entries("gateway.commands")}
