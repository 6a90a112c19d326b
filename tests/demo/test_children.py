"""The processes of a demo: commands in, facts out, and the last words of one that dies."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from gateway.demo.children import Child, ChildFailed

ECHO = """
import json, sys
print(json.dumps({"ready": {"port": 7}}), flush=True)
for line in sys.stdin:
    print(json.dumps({"heard": line.split()}), flush=True)
"""


def child(folder: Path, code: str) -> Child:
    (folder / "tmp").mkdir()
    return Child("plant", (sys.executable, "-c", code), folder)


async def test_child_tells_that_it_is_ready_and_hears_commands(tmp_path: Path) -> None:
    echo = child(tmp_path, ECHO)
    await echo.start()
    assert await echo.ready() == {"port": 7}
    echo.tell("fault", "outer_race", 0.8)
    async with asyncio.timeout(10):
        while "heard" not in echo.said:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert echo.said["heard"] == ["fault", "outer_race", "0.8"]
    await echo.stop()


async def test_child_that_dies_is_named_with_its_last_words(tmp_path: Path) -> None:
    broken = child(tmp_path, "raise SystemExit('port 502 is not ours')")
    await broken.start()
    with pytest.raises(ChildFailed, match=r"(?s)plant ended by itself.*port 502 is not ours"):
        await broken.ready()
    assert await broken.stop() == 1


async def test_child_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    silent = child(tmp_path, "import sys; sys.stdin.read()")
    await silent.start()
    with pytest.raises(ChildFailed, match="not ready within"):
        await silent.ready(seconds=0.2)
    await silent.stop()
