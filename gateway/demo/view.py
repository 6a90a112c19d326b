"""The terminal: a live picture on a TTY, plain lines anywhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.contract import Json
from gateway.demo.scene import STEPS, Scene

REFRESH_SECONDS = 0.5
LINE_SECONDS = 10.0
_COLOUR = {"critical": "red", "error": "red", "warning": "yellow", "info": "cyan"}
_UNITS = {"degC": "°C", "m3/h": "m³/h"}


@asynccontextmanager
async def shown(scene: Scene, console: Console | None = None) -> AsyncIterator[None]:
    """Show the scene while the body runs."""
    console = console or Console()
    drawing = asyncio.ensure_future(_live(scene, console) if console.is_terminal else _lines(scene, console))
    try:
        yield
    finally:
        drawing.cancel()
        with suppress(asyncio.CancelledError):
            await drawing


async def _live(scene: Scene, console: Console) -> None:
    with Live(console=console, auto_refresh=False, screen=False, transient=False) as live:
        try:
            while True:
                live.update(picture(scene), refresh=True)
                await asyncio.sleep(REFRESH_SECONDS)
        finally:
            live.update(picture(scene), refresh=True)


async def _lines(scene: Scene, console: Console) -> None:
    step, told, notes = -2, -LINE_SECONDS, 0
    while True:
        for note in scene.notes[notes:]:
            console.print(note, highlight=False)
        notes = len(scene.notes)
        if scene.step != step:
            step = scene.step
            console.print(f"{scene.elapsed:6.1f} s  {headline(scene)}", highlight=False, soft_wrap=True)
            if step == 0:
                console.print(f"          page: {scene.page}", highlight=False, soft_wrap=True)
        if scene.step >= 0 and scene.elapsed - told >= LINE_SECONDS:
            told = scene.elapsed
            console.print(f"{scene.elapsed:6.1f} s    {status_line(scene)}", highlight=False, soft_wrap=True)
        await asyncio.sleep(REFRESH_SECONDS)


def headline(scene: Scene) -> str:
    if scene.step < 0:
        return "Starting the plant, the CRM's inbox, NATS and the gateway"
    return STEPS[scene.step] if scene.step < len(STEPS) else "The story is over"


def status_line(scene: Scene) -> str:
    """One line with everything that counts."""
    look = scene.look
    rate = look.status.get("pipeline", {}).get("readings_per_second", 0)
    incidents = _plural(sum(incident["state"] == "open" for incident in look.incidents), "open incident")
    crm, cases = _uplink(look.destination("crm")), _plural(len(look.cases), "case")
    return f"{rate:.0f} readings/s · {incidents} · outbox {look.waiting} waiting · {crm} · inbox {cases}"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _uplink(crm: Json) -> str:
    if not crm:
        return "crm ?"
    return f"crm {crm['state']}, breaker {crm['breaker'].replace('_', '-')}"


def picture(scene: Scene) -> RenderableType:
    """The whole terminal view."""
    parts: list[RenderableType] = [_story(scene)]
    if scene.look.machines:
        both = Table.grid(expand=True, padding=(0, 3, 0, 0))
        both.add_column(ratio=2)
        both.add_column(ratio=3)
        both.add_row(_incidents(scene), _cases(scene))
        parts += [_machines(scene), "", both, "", _delivery(scene)]
    parts += [Text(note, style="yellow") for note in scene.notes]
    if scene.page:
        parts.append(Text.assemble("page  ", (scene.page, "bold cyan"), "      Ctrl-C ends the demo"))
    return Group(*parts)


def _story(scene: Scene) -> RenderableType:
    lines = Text()
    for i, step in enumerate(STEPS):
        mark, style = ("▶", "bold") if i == scene.step else ("✓", "green") if i < scene.step else (" ", "dim")
        if i in scene.missed:
            mark, style = "✗", "red"
        lines.append(f"{mark} {step}\n", style=style)
    lines.rstrip()
    title = f"Lineside demo  {scene.elapsed:.0f} s" if scene.step >= 0 else headline(scene)
    return Panel(lines, title=title, title_align="left", border_style="red" if scene.cut else "blue")


def _table(*columns: str, title: str | None = None) -> Table:
    """The first column takes what is left."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, expand=True, pad_edge=False, header_style="dim")
    for i, column in enumerate(columns):
        table.add_column(column, no_wrap=i > 0, ratio=1 if i == 0 else None)
    return table


def _machines(scene: Scene) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("machine", "source", "values"):
        table.add_column(column, no_wrap=column != "values")
    worst = {i["machine"]: i["severity"] for i in scene.look.incidents if i["state"] == "open"}
    sources = {source["name"]: source for source in scene.look.status.get("sources", [])}
    for machine in scene.look.machines:
        name, source = machine["name"], sources.get(machine["name"], {})
        values = "   ".join(_value(tag) for tag in machine["tags"] if tag["value"] is not None)
        state = "" if machine["state"] == "up" else f" {machine['state']}"
        table.add_row(
            Text(name, style=_COLOUR.get(worst.get(name, ""), "")),
            f"{source.get('kind', '')}{state}",
            values or _plural(source.get("readings", 0), "message"),
        )
    return table


def _value(tag: Json) -> str:
    unit = _UNITS.get(tag["unit"], tag["unit"])
    rms = " rms" if tag["kind"] == "waveform" else ""
    value = tag["value"] if tag["kind"] in ("gauge", "waveform") else int(tag["value"])
    return f"{tag['name']} {number(value)} {unit}{rms}".rstrip()


def number(value: float) -> str:
    """About four digits, and the same number of decimals for a magnitude, so that nothing jumps.

    >>> number(1480.2), number(52.0), number(0.0335), number(3)
    ('1480', '52.00', '0.034', '3')
    """
    if isinstance(value, int):
        return str(value)
    size = abs(value)
    return f"{value:.{0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3}f}"


def _incidents(scene: Scene) -> RenderableType:
    open_now = [incident for incident in scene.look.incidents if incident["state"] == "open"]
    if not open_now:
        return Text.assemble(("Open incidents", "bold"), "\n", ("none", "dim"))
    table = _table("incident", "severity", title="Open incidents")
    for incident in open_now:
        table.add_row(Text(incident["title"], style=_COLOUR.get(incident["severity"], "")), incident["severity"])
    return table


def _cases(scene: Scene) -> RenderableType:
    if not scene.look.cases:
        return Text.assemble(("CRM inbox", "bold"), "\n", ("no case yet", "dim"))
    table = _table("case", "state", "severity", "events", "evidence", title="CRM inbox")
    for case in scene.look.cases:
        colour = _COLOUR.get(case["severity"], "") if case["state"] == "open" else "dim"
        evidence = "spectrum" if case["spectrum"] else "values"
        table.add_row(Text(case["title"], style=colour), case["state"], case["severity"], str(case["events"]), evidence)
    return table


def _delivery(scene: Scene) -> RenderableType:
    line = Text("uplink is CUT   " if scene.cut else "", style="bold red")
    line.append(status_line(scene), style="default")
    return line
