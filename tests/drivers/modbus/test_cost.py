"""What reading costs, before anything is connected."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.modbus import plugin
from gateway.contract import Load
from gateway.testkit.contexts import source_context


def cost(tags: dict[str, dict[str, Any]], **options: Any) -> Load:
    assert plugin.plan is not None
    return plugin.plan(plugin.options.model_validate(options), source_context(plugin, tags).tags)


def test_serial_line_is_as_busy_as_its_characters_gaps_and_turnaround_make_it() -> None:
    """9600 baud 8E1, eleven bits a character: 8 to ask, 5 + 2 · 10 to answer, 10 ms turnaround, two gaps of 3.5 characters."""
    tags = {f"t{i}": {"at": 40001 + i} for i in range(10)}
    load = cost(tags, modbus="rtu:///dev/ttyUSB0?baud=9600", poll_seconds=0.5)
    seconds = (8 + 25 + 7) * 11 / 9600 + 0.010
    assert load.cycle_seconds == pytest.approx(seconds)
    assert (load.bus, load.bus_share) == ("/dev/ttyUSB0", pytest.approx(2 * seconds))
    assert (load.requests, load.readings, load.bytes) == (2, 20, 2 * 33)
    assert load.notes == ()


def test_ascii_takes_twice_the_characters() -> None:
    rtu, text = (cost({"t": {"at": 40001}}, modbus=f"{scheme}:///dev/ttyS0") for scheme in ("rtu", "ascii"))
    assert (rtu.bytes, text.bytes) == (8 + 7, 17 + 15)


def test_network_has_no_bus_and_headers_are_counted() -> None:
    load = cost({"t": {"at": 40001}}, modbus="tcp://plc", poll_seconds=2)
    assert (load.bus, load.bus_share, load.requests, load.bytes) == ("", 0, 0.5, 0.5 * (12 + 11 + 120))


def test_groups_have_their_own_periods() -> None:
    tags = {"a": {"at": 40001, "group": "fast"}, "b": {"at": 40002}, "c": {"at": 40003, "unit_id": 2, "group": "fast"}}
    load = cost(tags, modbus="tcp://plc", poll_seconds=2, groups={"fast": "200ms"})
    assert load.requests == pytest.approx(2 * 5 + 0.5)
    assert load.readings == pytest.approx(10.5)


def test_period_that_cannot_be_kept_is_said() -> None:
    tags = {f"t{i}": {"at": 40001 + 30 * i} for i in range(10)}
    load = cost(tags, modbus="rtu:///dev/ttyUSB0?baud=9600", poll_seconds=0.1)
    assert load.bus_share > 1
    assert any("its period of 0.1 s cannot be kept" in note for note in load.notes)


def test_request_a_wider_gap_would_save_is_said() -> None:
    tags = {"a": {"at": 40001}, "b": {"at": 40021}, "c": {"at": 41001}}
    assert any("max_gap: 19 would save 1 of 3 requests" in note for note in cost(tags, modbus="tcp://plc").notes)
    assert cost(tags, modbus="tcp://plc", max_gap=19).notes == ()


def test_nothing_to_read_costs_nothing() -> None:
    assert cost({}, modbus="tcp://plc") == Load(readings=0)


def test_as_fast_as_it_goes_is_what_the_line_gives() -> None:
    load = cost({"t": {"at": 40001}}, modbus="rtu:///dev/ttyUSB0", poll_seconds=0)
    assert load.bus_share == pytest.approx(1)
    assert any("takes the whole bus" in note for note in load.notes)
