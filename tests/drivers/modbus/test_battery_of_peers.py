"""The battery of every source over servers that others wrote."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from gateway.testkit.checks.source_checks import CHECKS
from gateway.testkit.rigs.modbus_peers import Libmodbus, LibmodbusSerial, Pymodbus, PymodbusSerial
from gateway.testkit.servers.modbus_libmodbus import Missing

_RIGS: dict[str, Callable[[], Any]] = {
    "pymodbus-tcp": Pymodbus,
    "pymodbus-rtu-over-tcp": lambda: Pymodbus("rtu+tcp"),
    "pymodbus-tls": lambda: Pymodbus("tls"),
    "pymodbus-serial": PymodbusSerial,
    "libmodbus-tcp": Libmodbus,
    "libmodbus-serial": LibmodbusSerial,
}


@pytest.mark.parametrize("name", _RIGS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_battery(name: str, check: Callable[[Any], Any]) -> None:
    try:
        rig = _RIGS[name]()
    except Missing as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    await check(rig)
