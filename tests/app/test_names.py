"""A name server that never answers: what waits for names stops nothing else, and not the end either."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway import loop as module
from gateway.loop import Loop, Names, new_loop

DEAD = "\n".join(f'  dead-{n}: {{https: "https://crm-{n}.plant.example/", timeout: 60s}}' for n in range(12))


@pytest.fixture
def black_hole(tmp_path: Path) -> Iterator[list[str]]:
    """The beginning of a command that runs where names are asked of a server on loopback that takes every question and answers none."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("a mount namespace needs root")
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        server.bind(("127.99.0.53", 53))
    except OSError as exc:
        pytest.skip(f"port 53: {exc.strerror}")
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.99.0.53\n")
    script = f'mount --bind "{conf}" /etc/resolv.conf && exec "$@"'
    if subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespace")
    yield ["unshare", "-m", "sh", "-c", script, "sh"]
    server.close()


@pytest.mark.parametrize("speed", ["uvloop", pytest.param("asyncio", marks=pytest.mark.long)])
async def test_a_dead_name_server_delays_no_event_no_page_and_no_stop(site: Any, black_hole: list[str], speed: str) -> None:
    without = "import sys; sys.modules['uvloop'] = None; " if speed == "asyncio" else ""
    program = f"{without}from gateway.cli import main; main()"
    site.configure(lambda text: text.replace("deliver:\n", f"deliver:\n{DEAD}\n"))
    site.oil(50)
    log = site.folder / "log"
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *black_hole, sys.executable, "-c", program, "run", str(site.file), "--log", "json", stdout=file, stderr=file
        )
    try:
        await site.until(lambda: '"message":"ready"' in log.read_text(), 25)
        url = next(line for line in log.read_text().splitlines() if '"message":"page"' in line).split('"url":"')[1].split('"')[0]
        await asyncio.sleep(0.3)  # all lookups are under way
        async with asyncio.timeout(8), aiohttp.ClientSession() as session:
            for value, told in ((80, "raised"), (50, "cleared")):
                site.oil(value)
                await site.until(lambda: told in site.told())  # noqa: B023
                async with session.get(url) as page:  # from a file, on the default executor
                    assert page.status == 200
            async with session.get(f"{url}api/status") as page:
                states = {each["name"]: each["state"] for each in (await page.json())["destinations"]}
        assert {state for name, state in states.items() if name != "crm"} == {"connecting"}, "they still wait for their names"
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class TestTheLoop:
    @pytest.fixture(autouse=True)
    def _stuck(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        self.answer = threading.Event()

        def getaddrinfo(*_: Any) -> list[Any]:
            self.answer.wait(30)
            return []

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield
        self.answer.set()

    def test_lookups_that_hang_hold_only_their_own_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_loop", Loop)

        async def main() -> None:
            loop = asyncio.get_running_loop()
            lookups = [asyncio.create_task(loop.getaddrinfo(f"h{n}", 80)) for n in range(50)]
            await asyncio.sleep(0)
            async with asyncio.timeout(5):
                assert await asyncio.to_thread(lambda: "done") == "done"
            assert sum(thread.name == "names" for thread in threading.enumerate()) <= module.NAME_THREADS
            assert not any(lookup.done() for lookup in lookups)
            for lookup in lookups:
                lookup.cancel()
            await asyncio.wait(lookups)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())

    def test_who_gave_up_is_not_asked_for(self) -> None:
        asked: list[int] = []
        names = Names(1)
        names.submit(socket.getaddrinfo)
        second = names.submit(asked.append, 2)
        third = names.submit(asked.append, 3)
        assert second.cancel()
        self.answer.set()
        third.result(5)
        assert asked == [3]
