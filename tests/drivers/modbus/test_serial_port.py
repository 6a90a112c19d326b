"""A serial device that cannot be used."""

from __future__ import annotations

import os
import pty
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from serial import Serial

from gateway.contract import NotConnected

Make = Callable[..., Any]


async def test_line_that_another_program_has_is_told_in_words(make: Make) -> None:
    """The gateway has it while somebody says `lineside write` or `commission`."""
    ours, theirs = pty.openpty()
    try:
        device = os.ttyname(theirs)
        source = make(f"rtu://{device}?parity=N", {"t": {"at": 40001}})
        with (
            closing(Serial(device, exclusive=True)),
            pytest.raises(NotConnected, match="another program has it, perhaps the gateway itself"),
        ):
            await source.connect()
    finally:
        os.close(ours)
        os.close(theirs)
