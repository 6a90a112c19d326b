"""The table of what is supported names tests that are there, and every driver that is installed."""

from __future__ import annotations

import re
from pathlib import Path

from gateway import registry

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "drivers/README.md").read_text(encoding="utf-8")


def test_every_test_it_names_is_there() -> None:
    named = re.findall(r"`([a-z/_]+\.py)`", PAGE)
    assert named
    assert [name for name in named if not (TESTS / name).is_file()] == []


def test_every_driver_has_its_row() -> None:
    assert [name for name in registry.names("sources") if f"[{name}]({name}/README.md)" not in PAGE] == []
