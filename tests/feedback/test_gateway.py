"""The whole way back in a running gateway: a verdict on the wire widens a limit of `anomaly`, a command sets it back."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.app import App
from gateway.cli import main
from gateway.config import load
from gateway.outbox.append import append
from gateway.outbox.database import FILE_NAME, open_database
from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.nats import NatsServer
from models.anomaly.detector import Anomaly

CONFIG = """\
version: 1
site: {{enterprise: acme, site: test, gateway: test-gw}}
machines:
  m1:
    source: {{modbus: "{plc}", poll_seconds: 0.02, timeout: 500ms}}
    tags: {{t0: {{at: 40011, as: float32}}}}
watch:
  - anomaly: {{on: m1/t0, name: anomaly-1, feedback: {{step: 0.1, at_most: {at_most}}}}}
deliver:
  crm: {{nats: "{nats}", stream: EVENTS, feedback: true, timeout: 2s}}
gateway: {{state_dir: "{state}", page: {{port: 0}}}}
"""


class Site:
    """A PLC, a hub, and a gateway whose state knows an incident that is over."""

    def __init__(self, folder: Path, plc: Plc, hub: NatsServer) -> None:
        self.file, self.state, self._plc, self.hub = folder / "lineside.yaml", folder / "state", plc, hub
        self.configure(0.25)

    def configure(self, at_most: float) -> None:
        self.file.write_text(CONFIG.format(plc=self._plc.url, nats=self.hub.url, state=self.state, at_most=at_most))

    @asynccontextmanager
    async def run(self, until: Any) -> AsyncIterator[App]:
        app = App(load(self.file))
        running = asyncio.create_task(app.run())
        try:
            await until(lambda: app.page_port > 0 or running.done())
            yield app
        finally:
            app.stop()
            await asyncio.wait_for(running, 15)

    async def say(self, identity: str, verdict: str) -> None:
        told = {"id": identity, "incident": "inc-1", "verdict": verdict, "at": "2027-01-15T08:00:00Z", "by": "Eva"}
        client = await self.hub.client()
        await client.publish("fb.v1.test.test-gw", json.dumps(told).encode())
        await client.flush()
        await client.close()

    def audit(self) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(self.state / FILE_NAME)) as connection:
            return connection.execute("SELECT before, after FROM audit WHERE what LIKE 'threshold%' ORDER BY number").fetchall()


def factor(app: App) -> float:
    detector = app.pipeline.line.watches[0].detector
    assert isinstance(detector, Anomaly)
    factors = detector._bank.factor
    return 1.0 if factors is None else float(factors[0])


@pytest.fixture
async def site(tmp_path: Path, made: Any) -> AsyncIterator[Site]:
    async with Plc() as plc, NatsServer(tmp_path) as hub:
        await hub.create_stream()
        await hub.create_stream("FB", "fb.v1.>")
        found = Site(tmp_path, plc, hub)
        connection, _ = open_database(found.state)
        with closing(connection):
            append(connection, [made.incident("inc-1", over=True)], [])
        yield found


async def lineside(*arguments: str) -> str:
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


async def test_a_verdict_widens_a_limit_over_restart_and_reload_until_it_is_taken_back(site: Site, until: Any) -> None:
    async with site.run(until) as app:
        await site.say("v1", "false_alarm")
        await until(lambda: factor(app) == 1.1)
    async with site.run(until) as app:
        assert factor(app) == 1.1
        site.configure(0.05)
        assert await app.reload()
        assert factor(app) == 1.05
        await lineside("feedback", "revert", "--watch", "anomaly-1", "--state-dir", str(site.state))
        await until(lambda: factor(app) == 1.0)
    assert site.audit() == [("1", "1.1"), ("1.1", "1.05"), ("1.05", "1")]


async def test_a_verdict_given_by_command_while_the_gateway_rests_counts_at_its_start(site: Site, until: Any) -> None:
    await lineside("feedback", "add", "inc-1", "false_alarm", "--state-dir", str(site.state))
    async with site.run(until) as app:
        assert factor(app) == 1.1
        await lineside("feedback", "add", "inc-1", "maintenance", "--state-dir", str(site.state))
        await until(lambda: factor(app) == 1.0)
    assert "anomaly-1" in await lineside("feedback", "precision", "--state-dir", str(site.state))
