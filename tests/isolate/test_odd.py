"""The core takes whatever a source may give within the contract, and nothing of it ends the gateway."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gateway.app import App
from gateway.config import load
from gateway.testkit.servers.https import Receiver

ROUNDS = int(os.environ.get("LINESIDE_LIVES", "12"))
SEED = int(os.environ.get("LINESIDE_SEED", "20270115"))
CONFIG = """\
version: 1
site: {{enterprise: acme, site: test, gateway: gw}}
machines:
  odd-1:
    source: {{bad: odd, seed: {seed}, poll_seconds: 0.02, isolated: {isolated}, clock: gateway, reorder: 50ms}}
    bearing: {{designation: SKF 6205, speed: a}}
    tags:
      a: {{deadband: 0.1, stuck_after: 1s, max_step: 10, unit: rpm}}
      b: {{kind: counter, range: [0, 100]}}
      c: {{kind: state}}
      d: {{}}
      v: {{kind: waveform, unit: g}}
    records: {{step: {{}}}}
watch:
  - limit: {{on: odd-1/a, high: 0.5, low: -1}}
  - anomaly: {{on: odd-1/*}}
  - sensor: {{on: odd-1/*}}
  - machine: {{on: [odd-1/a, odd-1/d]}}
  - vibration: {{on: odd-1/v}}
  - order: {{on: odd-1/step, late_after: 1s}}
incidents: {{hold: 0s, clear_after: 0s, evidence: {{before: 5s, after: 0s}}}}
deliver:
  crm: {{https: "{crm}", mode: batch, timeout: 2s}}
gateway: {{state_dir: "{state}", page: {{port: 0}}}}
"""


@pytest.mark.timeout(120 + ROUNDS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # sums of 1e308
@pytest.mark.parametrize("isolated", [pytest.param("true", marks=pytest.mark.long), "false"])
async def test_whatever_comes_the_gateway_goes_on(installed: None, tmp_path: Path, isolated: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Receiver() as receiver:
        file = tmp_path / "lineside.yaml"
        file.write_text(CONFIG.format(seed=SEED, crm=receiver.url, state=tmp_path / "state", isolated=isolated))
        app = App(load(file))
        running = asyncio.create_task(app.run())

        def items() -> int:
            return sum(app.counts.total(name) for name in ("records", "waveforms")) if not running.done() else 10**9

        async with asyncio.timeout(100 + ROUNDS):
            while items() < 20 * ROUNDS:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        if running.done():
            running.result()
        assert app.counts.total("source_processes_ended") == 0, [key for key in app.counts.as_dict() if "ended" in key] + [
            str(r.__dict__.get("fields")) for r in caplog.records
        ]
        app.stop()
        await asyncio.wait_for(running, 20)
        assert app.counts.total("events") > 0
