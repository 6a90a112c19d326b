"""`lineside reload`, the unit's ExecReload: it ends with what the gateway made of the new file."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.sdnotify import answer_reload


async def ask(folder: Path | None, pid: int) -> tuple[int, str]:
    env = {"RUNTIME_DIRECTORY": None if folder is None else str(folder)}
    result = await asyncio.to_thread(CliRunner().invoke, main, ["reload", "--pid", str(pid), "--seconds", "20"], env=env)
    return result.exit_code, result.stderr


async def test_a_good_file_is_accepted_and_a_bad_one_fails_the_reload(site: Any, systemd: Any, daemon: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    await daemon.start(NOTIFY_SOCKET=str(site.notify), RUNTIME_DIRECTORY=str(folder))
    await site.until(lambda: "READY=1" in systemd.listen(), 20)
    site.configure(high=60.0)
    assert await ask(folder, daemon.process.pid) == (0, "")
    site.configure(lambda text: text.replace("high:", "hihg:"))
    code, said = await ask(folder, daemon.process.pid)
    assert (code, said) == (1, "lineside: reload refused; the journal says why\n")
    assert daemon.said("reload refused") == 1
    assert daemon.process.returncode is None
    site.configure(high=50.0)
    assert await ask(folder, daemon.process.pid) == (0, "")


async def test_a_gateway_that_is_gone_is_told(tmp_path: Path) -> None:
    gone = await asyncio.create_subprocess_exec("true")
    await gone.wait()
    code, said = await ask(tmp_path, gone.pid)
    assert (code, said) == (2, f"lineside: cannot ask process {gone.pid}: No such process\n")


async def test_one_that_ends_meanwhile_has_not_accepted(tmp_path: Path) -> None:
    """A SIGHUP ends a process that does not know it."""
    # Whoever runs the tests under nohup ignores SIGHUP, and so would their children.
    process = await asyncio.create_subprocess_exec("sleep", "30", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
    code, said = await ask(tmp_path, process.pid)
    await process.wait()
    assert (code, said) == (1, "lineside: reload not answered: the gateway ended; the journal says why\n")


async def test_outside_the_unit_there_is_nobody_to_ask() -> None:
    code, said = await ask(None, os.getpid())
    assert code == 2
    assert "systemctl reload lineside" in said


def test_a_gateway_that_is_no_unit_leaves_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    answer_reload(True)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "not there"))
    answer_reload(True)
    assert list(tmp_path.iterdir()) == []
