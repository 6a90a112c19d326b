"""integrators.md: what it shows is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import aiohttp
from click.testing import CliRunner

from gateway.cli import main
from gateway.events.catalogue import check
from gateway.uplink.nats.verdicts import verdict
from gateway.web import PageServer

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "integrators.md").read_text(encoding="utf-8")


def test_every_program_is_named_and_every_link_leads_somewhere() -> None:
    named = set(re.findall(r"\]\(examples/([^)]+)\)", PAGE))
    assert named == {path.name for path in (DOCS / "examples").iterdir() if path.is_file()}
    for link in re.findall(r"\]\(([a-z]+\.md)(?:#[a-z-]+)?\)", PAGE):
        assert (DOCS / link).is_file(), link


def test_every_command_is_there(tmp_path: Path) -> None:
    commands = re.findall(r"`lineside ((?:export|schema)[^`]*)`", PAGE)
    assert len(commands) >= 4
    for number, command in enumerate(commands):
        words = [str(tmp_path / f"{number}-{word}") if word in {"FOLDER", "events.json"} else word for word in command.split()]
        assert CliRunner().invoke(main, words).exit_code == 0, command


def test_the_verdict_fits_its_contract_and_is_understood() -> None:
    shown = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    check("io.lineside.feedback.verdict.v1", json.loads(shown[1]))
    assert verdict(shown[1].encode()).judgement.value == "false_alarm"


async def test_the_address_that_is_shown_is_served() -> None:
    shown = re.search(r"curl http://127\.0\.0\.1:8080(\S+)", PAGE)
    assert shown is not None
    server = PageServer(None, "127.0.0.1", 0)  # type: ignore[arg-type]  the registry asks no view
    port = await server.start()
    try:
        async with aiohttp.request("GET", f"http://127.0.0.1:{port}{shown[1]}") as reply:
            assert reply.status == 200
            assert f"`{(await reply.json(content_type=None))['$id']}`" in PAGE
    finally:
        await server.stop()
