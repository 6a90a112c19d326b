"""`lineside demo`, as its user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from gateway.cli import main

LINESIDE = (sys.executable, "-u", "-c", "from gateway.cli import main; main()")


def descendants(pid: int) -> Iterator[int]:
    """The processes it started, and theirs."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            if parent == pid:
                yield int(entry.name)
                yield from descendants(int(entry.name))


def running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def eventually(seen: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not seen():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [*LINESIDE, "demo", "--folder", str(folder), "--port", "0", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def page_of(process: subprocess.Popen[str]) -> str:
    for line in process.stdout or ():
        if "page: " in line:
            return line.split("page: ")[1].strip()
    raise AssertionError(f"it ended: {process.stderr.read() if process.stderr else ''}")


@pytest.mark.timeout(120)
def test_story_comes_true_unattended(tmp_path: Path) -> None:
    demo = start(tmp_path / "run", "--seconds", "40", "--json", str(tmp_path / "summary.json"))
    page = page_of(demo)
    with urlopen(page.partition("?")[0] + "api/machines") as answer:
        tags = {tag["name"]: tag for machine in json.load(answer) for tag in machine["tags"]}
    children = list(descendants(demo.pid))
    _, told = demo.communicate(timeout=100)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (demo.returncode, summary["failures"], summary["true"]) == (0, [], True), told
    assert "the story came true: 2 cases, 0 lost, 0 doubled" in told
    assert tags["oil_temperature"]["limits"][0] == {"name": "high", "value": 70.0}
    assert (summary["cases"], summary["incidents"], summary["lost"], summary["doubled"]) == (2, 2, 0, 0)
    assert summary["waveforms"] >= 35
    # Bytes are told once a second: the last two pairs of blocks may not be among them.
    assert summary["bytes_in"] > (summary["waveforms"] - 4) * 48_000
    assert summary["events"] >= 6
    assert summary["streamed"] > summary["events"]
    assert 0 < summary["p50_ms"] <= summary["p99_ms"]
    assert len(children) >= 4
    assert not any(running(pid) for pid in children)


@pytest.mark.timeout(90)
def test_killed_story_leaves_no_process_behind(tmp_path: Path) -> None:
    demo = start(tmp_path / "run")
    page_of(demo)
    children = list(descendants(demo.pid))
    assert len(children) >= 4
    demo.kill()
    demo.communicate()
    assert eventually(lambda: not any(running(pid) for pid in children), 20)


@pytest.mark.timeout(90)
def test_ctrl_c_while_it_starts_leaves_no_process_behind(tmp_path: Path) -> None:
    demo = start(tmp_path / "run")
    children: list[int] = []
    assert eventually(lambda: bool(children.extend(descendants(demo.pid)) or children), 30)
    os.kill(demo.pid, signal.SIGINT)
    demo.communicate(timeout=40)
    assert demo.returncode == 130
    assert not any(running(pid) for pid in children)


@pytest.mark.long  # while it starts: above
@pytest.mark.timeout(90)
def test_ctrl_c_ends_an_endless_demo_in_good_order(tmp_path: Path) -> None:
    demo = start(tmp_path / "run")
    page_of(demo)
    children = list(descendants(demo.pid))
    os.kill(demo.pid, signal.SIGINT)
    out, _ = demo.communicate(timeout=40)
    assert demo.returncode == 0
    summary = json.loads(out[out.index("{") :])
    assert (summary["lost"], summary["doubled"]) == (0, 0)
    assert not any(running(pid) for pid in children)
    assert "stopped" in (tmp_path / "run/gateway.log").read_text()


def test_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    told = CliRunner().invoke(main, ["demo", "--folder", str(tmp_path), "--port", "0", "--seconds", "30"])
    assert told.exit_code == 2
    assert "not empty" in told.output
