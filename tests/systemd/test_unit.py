"""The unit as systemd reads it: `verify` only prints what it does not know, so the test wants silence."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "lineside.service"


def options() -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return dict(parser["Service"])


def verify(unit: Path) -> str:
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    return done.stderr.strip()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit with a program that exists here."""
    unit = tmp_path / "lineside.service"
    unit.write_text(UNIT.read_text().replace("/opt/lineside/venv/bin/lineside", "/bin/true"))
    return unit


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and not os.environ.get("CI"), reason="systemd-analyze is not installed"
)


@needs_systemd
def test_systemd_knows_every_line_of_the_unit(installed: Path) -> None:
    assert verify(installed) == ""


@needs_systemd
def test_the_check_would_notice_a_misspelt_line(installed: Path) -> None:
    installed.write_text(installed.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    assert "WatchdogSecs" in verify(installed)


def test_a_wrong_configuration_is_not_started_again_and_a_crash_is() -> None:
    service = options()
    assert service["RestartPreventExitStatus"] == "2"
    assert service["Restart"] == "on-failure"
    assert service["Type"] == "notify"
    # systemd.service(5): what an ExecStartPre= exits with does not prevent a restart.
    assert "ExecStartPre" not in service


def test_the_sandbox_leaves_the_state_folder_only() -> None:
    service = options()
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == "lineside"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""


def test_stopping_has_more_time_than_the_gateway_takes() -> None:
    from gateway.app import DRAIN_SECONDS, LAST_SEND_SECONDS

    assert int(options()["TimeoutStopSec"]) > DRAIN_SECONDS + LAST_SEND_SECONDS + 2
