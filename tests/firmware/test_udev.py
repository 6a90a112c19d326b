"""The rules on an adapter with two lines behind one USB interface, in a /sys of our own."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

PLUGGED = """
mount -t tmpfs none /sys && mkdir -p /run/udev && mount -t tmpfs none /run/udev
mkdir /run/udev/rules.d && cp "$1"/*.rules /run/udev/rules.d
controller=/sys/devices/pci0000:00/0000:00:14.0 socket=$controller/usb1/1-2
known() { printf "$3" >"$1/uevent" && ln -s "/sys/$2" "$1/subsystem"; }
mkdir -p $socket/1-2:1.0/ttyUSB0/tty/ttyUSB0 $socket/1-2:1.0/ttyUSB1/tty/ttyUSB1
mkdir -p /sys/bus/pci /sys/bus/usb /sys/bus/usb-serial /sys/class/tty
known $controller bus/pci 'PCI_SLOT_NAME=0000:00:14.0\\n'
known $controller/usb1 bus/usb 'DEVTYPE=usb_device\\n'
known $socket bus/usb 'DEVTYPE=usb_device\\n'
known $socket/1-2:1.0 bus/usb 'DEVTYPE=usb_interface\\n'
for line in 0 1; do
  port=$socket/1-2:1.0/ttyUSB$line
  known $port bus/usb-serial '' && echo $line >$port/port_number
  known $port/tty/ttyUSB$line class/tty "MAJOR=188\\nMINOR=$line\\nDEVNAME=ttyUSB$line\\n"
done
for line in 0 1; do "$0" test --action=add $socket/1-2:1.0/ttyUSB$line/tty/ttyUSB$line; done
"""


def test_each_line_of_an_adapter_has_a_name_of_its_own(installed: Callable[[str], str], firmware: Path) -> None:
    """Two lines that claimed one name: which one had it was not said, and a gateway wrote to the other bus after a restart."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts")
    words = ["unshare", "-m", "sh", "-c", PLUGGED, installed("udevadm"), str(firmware / "udev")]
    env = {**os.environ, "SYSTEMD_DEVICE_VERIFY_SYSFS": "0"}
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=env)
    assert re.findall(r"(ttyUSB\d): \S*65-lineside-serial.rules:\d+ LINK '(.*)'", done.stdout) == [
        ("ttyUSB0", "lineside/pci-0000_00_14_0-usb-0_2_1_0"),
        ("ttyUSB1", "lineside/pci-0000_00_14_0-usb-0_2_1_0_port1"),
    ], done.stdout
