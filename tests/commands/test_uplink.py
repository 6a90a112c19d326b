"""`lineside test-uplink`: step by step to a real receiver."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from click.testing import Result

from gateway.cli import DEFAULT_CONFIG
from gateway.testkit.servers.https import Receiver

Lineside = Callable[..., Result]
Process = Callable[..., subprocess.CompletedProcess[str]]
Done = TypeVar("Done")
CONFIG = """
version: 1
site: {{enterprise: acme, site: dresden, gateway: dresden-press-01}}
machines: {{}}
deliver:
  crm: {{https: "{url}", timeout: 2s}}
gateway: {{page: off, state_dir: state}}
"""


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as server:
        yield server


async def run(command: Callable[..., Done], tmp_path: Path, url: str, *arguments: str) -> Done:
    import asyncio

    (tmp_path / "lineside.yaml").write_text(CONFIG.format(url=url), encoding="utf-8")
    return await asyncio.to_thread(command, "test-uplink", *arguments, "lineside.yaml")


async def test_every_step_is_told_and_nothing_is_sent(lineside: Lineside, tmp_path: Path, receiver: Receiver) -> None:
    result = await run(lineside, tmp_path, receiver.url, "crm")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("crm (https)\n  ok ")
    assert "failed" not in result.stdout
    assert "nothing was sent" in result.stdout
    assert receiver.events == {}
    assert not (tmp_path / "state").exists()


async def test_live_sends_one_event_that_says_it_is_a_test(process: Process, tmp_path: Path, receiver: Receiver) -> None:
    result = await run(process, tmp_path, receiver.url, "crm", "--live", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    steps = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(step["ok"] and step["destination"] == "crm" for step in steps)
    [event] = receiver.events.values()
    assert event["type"] == "io.lineside.gateway.tested.v1"
    assert "please ignore" in event["data"]["title"]
    assert "correlationid" not in event


async def test_what_fails_is_told_with_what_to_do(lineside: Lineside, tmp_path: Path, receiver: Receiver) -> None:
    await receiver.stop()
    result = await run(lineside, tmp_path, receiver.url, "crm")
    assert result.exit_code == 1
    assert "\n  failed " in result.stdout
    assert "to do:" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


async def test_live_event_that_is_refused_fails(lineside: Lineside, tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 422
    result = await run(lineside, tmp_path, receiver.url, "crm", "--live")
    assert result.exit_code == 1
    assert "422" in result.stdout


def test_a_destination_that_is_not_there_is_told_with_those_that_are(lineside: Lineside, config: Callable[[str], str]) -> None:
    result = lineside("test-uplink", "crn", config("state"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "lineside: lineside.yaml has no destination 'crn'; it has: crm\n"


def test_help_names_the_file(lineside: Lineside) -> None:
    assert DEFAULT_CONFIG in lineside("test-uplink", "--help").stdout
