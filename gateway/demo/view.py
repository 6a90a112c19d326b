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
    crm = look.destination("crm")
    rate = look.status.get("pipeline", {}).get("readings_per_second", 0)
    open_now = sum(incident["state"] == "open" for incident in look.incidents)
    return (
        f"{rate:.0f} readings/s · {open_now} open incidents · outbox {look.waiting} waiting · crm {crm.get('state', '?')}, "
        f"breaker {crm.get('breaker', '?')} · inbox {len(look.cases)} cases"
    )


def picture(scene: Scene) -> RenderableType:
    """The whole terminal view."""
    parts: list[RenderableType] = [_story(scene)]
    if scene.look.machines:
        parts += [_machines(scene), _cases(scene), _delivery(scene)]
    parts += [Text(note, style="yellow") for note in scene.notes]
    if scene.page:
        parts.append(Text.assemble("page  ", (scene.page, "bold cyan"), "      Ctrl-C ends the demo"))
    return Group(*parts)


def _story(scene: Scene) -> RenderableType:
    lines = Text()
    for i, step in enumerate(STEPS):
        mark, style = ("✓", "green") if i < scene.step else ("▶", "bold") if i == scene.step else (" ", "dim")
        lines.append(f"{mark} {step}\n", style=style)
    title = f"Lineside demo  {scene.elapsed:.0f} s" if scene.step >= 0 else headline(scene)
    lines.rstrip()
    return Panel(lines, title=title, title_align="left", border_style="red" if scene.cut else "blue")


def _machines(scene: Scene) -> RenderableType:
    table = Table(box=None, expand=True, pad_edge=False, header_style="dim")
    for column in ("machine", "state", "values"):
        table.add_column(column, no_wrap=column != "values")
    worst = {i["machine"]: i["severity"] for i in scene.look.incidents if i["state"] == "open"}
    kinds = {source["name"]: source["kind"] for source in scene.look.status.get("sources", [])}
    for machine in scene.look.machines:
        style = _COLOUR.get(worst.get(machine["name"], ""), "")
        values = "   ".join(_value(tag) for tag in machine["tags"] if tag["value"] is not None)
        state = "" if machine["state"] == "up" else machine["state"]
        table.add_row(Text(machine["name"], style=style), f"{kinds.get(machine['name'], '')} {state}", values or "business messages")
    return table


def _value(tag: Json) -> str:
    unit = _UNITS.get(tag["unit"], tag["unit"])
    rms = " rms" if tag["kind"] == "waveform" else ""
    return f"{tag['name']} {tag['value']:.4g} {unit}{rms}".rstrip()


def _cases(scene: Scene) -> RenderableType:
    table = Table(title="CRM inbox", title_justify="left", box=None, expand=True, pad_edge=False, header_style="dim")
    for column in ("case", "state", "severity", "events", "evidence"):
        table.add_column(column, no_wrap=column != "case")
    for case in scene.look.cases:
        colour = _COLOUR.get(case["severity"], "") if case["state"] == "open" else "dim"
        evidence = "spectrum" if case["spectrum"] else "values"
        table.add_row(Text(case["title"], style=colour), case["state"], case["severity"], str(case["events"]), evidence)
    if not scene.look.cases:
        table.add_row(Text("no case yet", style="dim"), "", "", "", "")
    return table


def _delivery(scene: Scene) -> RenderableType:
    line = Text("uplink is CUT   " if scene.cut else "", style="bold red")
    line.append(status_line(scene), style="default")
    return line
