"""The terminal view: what it shows of a scene, live and as lines."""

from __future__ import annotations

import asyncio
from io import StringIO
from typing import Any

from rich.console import Console

from gateway.demo.look import Look
from gateway.demo.scene import Scene
from gateway.demo.view import picture, shown

TAG = {"name": "oil_temperature", "unit": "degC", "kind": "gauge", "value": 77.125}
STATUS: dict[str, Any] = {
    "sources": [
        {"name": "press-07", "kind": "modbus", "state": "up", "readings": 9},
        {"name": "mes", "kind": "mqtt", "state": "up", "readings": 1},
    ],
    "destinations": [{"name": "crm", "state": "down", "breaker": "half_open"}],
    "outbox": {"events": 3},
    "pipeline": {"readings_per_second": 51.2},
}
CASE = {"title": "[bold]outer race[/bold]", "state": "open", "severity": "error", "events": 2, "spectrum": True}


def scene() -> Scene:
    machines = [{"name": "press-07", "state": "up", "tags": [TAG]}, {"name": "mes", "state": "up", "tags": []}]
    incidents = [{"machine": "press-07", "title": "oil too hot", "severity": "warning", "state": "open"}]
    given = Scene(90.0, page="http://127.0.0.1:8080/?inbox=http://127.0.0.1:9", cut=True)
    given.begin()
    given.step = 3
    given.missed.add(2)
    given.look = Look(status=STATUS, machines=machines, incidents=incidents, cases=[CASE])
    return given


def drawn(given: Scene) -> str:
    console = Console(file=StringIO(), width=150, force_terminal=False)
    console.print(picture(given))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_picture_shows_machines_incidents_cases_and_delivery() -> None:
    text = drawn(scene())
    for expected in (
        "oil_temperature 77.12 °C",
        "1 message",
        "oil too hot",
        "spectrum",
        "3 waiting",
        "crm down, breaker half-open",
        "51 readings/s",
    ):
        assert expected in text
    assert "uplink is CUT" in text
    assert "http://127.0.0.1:8080/?inbox=http://127.0.0.1:9" in text


def test_step_that_did_not_come_true_gets_no_tick() -> None:
    marks = {line[2]: line for line in drawn(scene()).splitlines() if line.startswith("│")}
    assert "One case" in marks["✗"]
    assert "uplink is cut" in marks["▶"]


def test_names_from_events_are_text_and_not_markup() -> None:
    assert "[bold]outer race[/bold]" in drawn(scene())


def test_picture_before_the_first_answer_says_that_everything_starts() -> None:
    assert "Starting" in drawn(Scene(90.0))


async def test_without_a_terminal_each_step_is_a_line() -> None:
    out = StringIO()
    given = scene()
    given.notes.append("port 8080 is taken; the page is at 8081")
    async with shown(given, Console(file=out, width=80)):
        async with asyncio.timeout(5):
            while "readings/s" not in out.getvalue():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    lines = out.getvalue().splitlines()
    assert lines[0] == "port 8080 is taken; the page is at 8081"
    assert lines[1].endswith("The uplink is cut; the oil of press-07 heats up")
    assert "crm down, breaker half-open" in lines[2]
