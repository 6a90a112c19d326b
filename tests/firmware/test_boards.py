"""The Raspberry Pi's settings: no tool knows its vendor's overlays, so they are held to what its documentation names."""

from __future__ import annotations

import re
from pathlib import Path

OVERLAYS = {"disable-wifi", "disable-bt", "i2c-rtc,ds3231", "uart3", "uart5"}
PARAMETERS = {"watchdog=on", "audio=off", "i2c_arm=on", "spi=on", "uart0=on"}


def test_every_line_is_one_the_firmware_knows_also_those_that_wait_as_comments(firmware: Path) -> None:
    text = (firmware / "rpi/lineside.txt").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("# ")]
    settings = [line.lstrip("#") for line in lines]
    known = {"[all]", "[pi5]", "enable_uart=1"} | {f"dtoverlay={name}" for name in OVERLAYS} | {f"dtparam={name}" for name in PARAMETERS}
    assert [line for line in settings if line not in known] == []
    # The firmware ignores what is beyond 98 characters of a line.
    assert max(len(line) for line in lines) <= 98
    assert settings[0] == "[all]"


def test_the_uart_on_the_pins_is_on_also_where_enable_uart_is_about_another_one(firmware: Path) -> None:
    """A Pi 5: its primary UART is on a connector of its own (raspi-config sets uart0 there, too). What follows is for all boards again."""
    lines = (firmware / "rpi/lineside.txt").read_text().splitlines()
    given = [line for line in lines if not line.startswith("#")]
    assert given[given.index("[pi5]") :] == ["[pi5]", "dtparam=uart0=on", "[all]"]
    assert lines.index("[all]", 3) < lines.index("#dtparam=i2c_arm=on")


def test_the_board_feeds_its_watchdog_before_it_bites(firmware: Path) -> None:
    found = re.search(r"^RuntimeWatchdogSec=(\d+)s$", (firmware / "watchdog/rpi.conf").read_text(), re.MULTILINE)
    assert found is not None
    assert int(found[1]) < 15
    assert "dtparam=watchdog=on" in (firmware / "rpi/lineside.txt").read_text()
