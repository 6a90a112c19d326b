"""Posts in flight while `lineside run` is ended, by SIGTERM and by `kill -9`: what was answered 202 is there, and once."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from gateway.testkit.servers.https import Receiver
from gateway.testkit.servers.ports import free_port

SENDERS = 8
# The rows tell no time of their own: one that is taken twice is two events.
CONFIG = """\
version: 1
site: {{enterprise: acme, site: test, gateway: ingest}}
machines:
  mes:
    source: {{http: ingest, token: {{secret: mes_token}}}}
    records: {{order_step: {{}}}}
watch:
  - order: {{on: mes/order_step}}
deliver:
  crm: {{https: "{https}", mode: batch, timeout: 2s}}
gateway: {{state_dir: "{state}", page: {{port: {port}}}}}
"""


class Daemon:
    """`lineside run` in a process of its own."""

    def __init__(self, config: Path, log: Path) -> None:
        self._config, self._log, self._starts = config, log, 0
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._starts += 1
        command = [sys.executable, "-c", "from gateway.cli import main; main()", "run", str(self._config), "--log", "json"]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        await until(lambda: self._log.read_text().count('"message":"ready"') >= self._starts)

    async def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        assert self._process.returncode is None, self._log.read_text()[-3000:]
        self._process.send_signal(how)
        return await self._process.wait()


class Senders:
    """Post one order after the other, each with its own key, until it is answered 202.

    answered   orders that were
    undone     posts that were not: 503, or a connection that broke
    """

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/ingest/mes"
        self.answered: list[str] = []
        self.undone: Counter[str] = Counter()
        self._next, self._open = 0, True

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            for _ in range(SENDERS):
                tasks.create_task(self._send(session))

    def stop(self) -> None:
        """Nothing new; what is not answered yet is repeated until it is."""
        self._open = False

    async def _send(self, session: aiohttp.ClientSession) -> None:
        while self._open:
            self._next += 1
            order = f"A{self._next}"
            while not await self._posted(session, order):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            self.answered.append(order)

    async def _posted(self, session: aiohttp.ClientSession, order: str) -> bool:
        headers = {"Authorization": "Bearer let-me-in", "Idempotency-Key": f"key-{order}", "Content-Type": "application/json"}
        body = json.dumps({"order": order, "step": "milling"})
        try:
            async with session.post(self._url, data=body, headers=headers) as reply:
                assert reply.status in (202, 503), await reply.text()
                if reply.status == 503:
                    self.undone["503"] += 1
                return reply.status == 202
        except aiohttp.ClientConnectorError:
            return False  # nobody there
        except aiohttp.ClientError:
            self.undone["broken"] += 1
            return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("ends", [[signal.SIGKILL], pytest.param([signal.SIGTERM, signal.SIGKILL], marks=pytest.mark.long)], ids=len)
async def test_what_was_answered_202_is_there_and_nothing_twice(tmp_path: Path, ends: list[signal.Signals]) -> None:
    """What is answered when it stops in good order: tests/app/test_ingest.py, in this process."""
    config, port = tmp_path / "lineside.yaml", free_port()
    secret = tmp_path / "secrets" / "mes_token"
    secret.parent.mkdir()
    secret.write_text("let-me-in")
    secret.chmod(0o600)
    async with Receiver() as crm:
        config.write_text(CONFIG.format(https=crm.url, state=tmp_path / "state", port=port))
        daemon, senders = Daemon(config, tmp_path / "log"), Senders(port)
        await daemon.start()
        sending = asyncio.create_task(senders.run())
        for how in ends:
            wanted = len(senders.answered) + 40
            await until(lambda wanted=wanted: len(senders.answered) >= wanted)
            undone = senders.undone.total()
            assert await daemon.end(how) == (0 if how == signal.SIGTERM else -how)
            await until(lambda undone=undone: senders.undone.total() > undone)  # some were under way
            await daemon.start()
        senders.stop()
        await sending
        assert await daemon.end(signal.SIGTERM) == 0
        orders = Counter(event["data"]["explanation"]["order"] for event in crm.events.values())
    assert set(senders.answered) - set(orders) == set(), "answered 202 and lost"
    assert {order: times for order, times in orders.items() if times > 1} == {}, "repeated with its key and taken twice"
    assert set(orders) == set(senders.answered)
