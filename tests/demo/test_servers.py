"""What the demo needs beside the gateway."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.demo import servers


def test_what_is_not_installed_is_named_with_the_remedy_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "find_spec", lambda name: None if name in ("amqtt", "scipy") else find_spec(name))
    done = CliRunner().invoke(main, ["demo", "--folder", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert done.stderr == "lineside demo: amqtt, scipy missing; install the package lineside-demo, or with pip 'lineside[demo]'\n"
