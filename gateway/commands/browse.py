"""`lineside browse` and `lineside probe`: what a device has, as a list of tags or as YAML."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from collections.abc import Iterable
from typing import Any

import click

from gateway.commands.database import Refused
from gateway.commands.printing import counted, printable
from gateway.config.tags_csv import COMMENT
from gateway.contract import ConfigError, Found, NotConnected, SourceContext, SourcePlugin

MOST = 100_000


def browse(plugin: SourcePlugin, options: Any, context: SourceContext, select: str) -> int:
    """Print what `tags_from` reads. Exit code: 0 done, 1 the peer is not there or nothing was found."""
    if plugin.browse is None:
        raise Refused(f"{plugin.name} has nothing to browse{'; try lineside probe' if plugin.probe else ''}")
    found: list[Found] = []

    async def gather() -> None:
        assert plugin.browse is not None  # noqa: S101  checked above; this tells mypy
        async for one in plugin.browse(options, context, select):
            found.append(one)
            if len(found) % 1000 == 0:
                click.echo(f"{len(found):,} found ...", err=True)
            if len(found) >= MOST:
                click.echo(f"stopped at {MOST:,}; narrow it with --select", err=True)
                return

    _connected(gather)
    if not found:
        click.echo("nothing found" + (f" that matches {select!r}" if select else ""), err=True)
        return 1
    sys.stdout.write(table(found))
    click.echo(counted(len(found), "tags"), err=True)
    return 0


def table(found: Iterable[Found]) -> str:
    """CSV with a header; columns that begin with # are for people and are skipped when it is read.

    >>> print(table([Found(name="load", options={"node": "i=1"}, value="3.5")]), end="")
    name,node,#value,#note
    load,i=1,3.5,
    """
    rows = list(found)
    columns = list(dict.fromkeys(key for row in rows for key in row.options))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *columns, f"{COMMENT}value", f"{COMMENT}note"])
    for name, row in zip(_unique(row.name for row in rows), rows, strict=True):
        writer.writerow([name, *(row.options.get(key, "") for key in columns), printable(row.value), printable(row.note)])
    return text.getvalue()


def _unique(names: Iterable[str]) -> list[str]:
    """
    >>> _unique(["load", "load", "load_2"])
    ['load', 'load_2', 'load_2_2']
    """
    given: set[str] = set()
    found = []
    for name in names:
        free, number = name, 1
        while free in given:
            number += 1
            free = f"{name}_{number}"
        given.add(free)
        found.append(free)
    return found


def probe(plugin: SourcePlugin, options: Any, context: SourceContext) -> int:
    """Print YAML, line by line as it is found. Exit code as for `browse`."""
    if plugin.probe is None:
        raise Refused(f"{plugin.name} has nothing to probe{'; try lineside browse' if plugin.browse else ''}")

    async def show() -> None:
        assert plugin.probe is not None  # noqa: S101
        async for line in plugin.probe(options, context):
            click.echo(line)

    _connected(show)
    return 0


def _connected(work: Any) -> None:
    try:
        asyncio.run(work())
    except (NotConnected, ConfigError) as exc:
        raise Refused(str(exc)) from exc
