"""A small plant and recordings of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import Settings, load

PLANT = """
version: 1
site: {{enterprise: acme, site: dresden, gateway: dresden-press-01, timezone: Europe/Berlin}}
machines:
  press-07:
    source: {{modbus: "tcp://127.0.0.1:9"}}
    tags:
      temperature: {{at: 40011, as: int16, scale: 0.1, unit: degC, range: [-50, 200]}}
      running: {{at: 10003, kind: state}}
  press-08:
    source: {{modbus: "tcp://127.0.0.1:9"}}
    tags: {{load: {{at: 40011}}, running: {{at: 10003, kind: state}}}}
watch:
  - limit: {watch}
incidents: {{hold: 0s, clear_after: 0s}}
"""


@pytest.fixture
def plant(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with one limit watch."""

    def make(watch: str = "{on: press-07/temperature, high: 70}") -> Settings:
        path = tmp_path / "lineside.yaml"
        path.write_text(PLANT.format(watch=watch), encoding="utf-8")
        return load(path, secrets=False)

    return make


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., Path]:
    """A CSV file with these lines."""

    def write(*lines: str, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write
