"""What refusals taught is remembered over restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drivers.modbus.memory import FILE
from gateway import registry
from gateway.contract import GOOD, Health, Quality, Source
from gateway.testkit.clock import FakeClock
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.modbus import Plc

ROW: dict[str, dict[str, Any]] = {f"r{i}": {"at": 40001 + i} for i in range(10)}


def source(plc: Plc, folder: Path, told: list[Health], tags: dict[str, dict[str, Any]] = ROW, clock: Any = None) -> Source:
    plugin = registry.source("modbus")
    options = plugin.options.model_validate({"modbus": plc.url, "poll_seconds": 0, "timeout": "300ms"})
    return plugin.build(options, source_context(plugin, tags, state_dir=folder, told=told, clock=clock))


async def one_read(plc: Plc, *args: Any, **options: Any) -> tuple[int, dict[int, int]]:
    """(requests, quality by tag) of a source that begins, reads once and ends."""
    made = source(plc, *args, **options)
    plc.requests = 0
    try:
        await made.connect()
        batch: Any = await made.read()
    finally:
        await made.close()
    return plc.requests, dict(zip(batch.tag.tolist(), batch.quality.tolist(), strict=True))


async def test_refused_address_is_not_searched_for_again_and_is_told_again(plc: Plc, tmp_path: Path) -> None:
    plc.refuse = {("holding", 4)}
    first: list[Health] = []
    requests, quality = await one_read(plc, tmp_path, first)
    assert requests > 5
    assert quality[4] == Quality.BAD_DEVICE
    second: list[Health] = []
    requests, quality = await one_read(plc, tmp_path, second)
    assert (requests, quality) == (2, {i: GOOD for i in range(10) if i != 4})
    assert [health.facts for health in (*first, *second)] == [{"refused": ["unit 1: 40005"]}] * 2
    assert [health.why for health in second] == ["refuses 1 address"]


async def test_hole_is_remembered(plc: Plc, tmp_path: Path) -> None:
    plc.refuse = {("holding", 3)}
    tags = {f"r{at}": {"at": at} for at in (40001, 40002, 40003, 40006, 40007)}
    told: list[Health] = []
    assert (await one_read(plc, tmp_path, told, tags))[0] > 2
    assert (await one_read(plc, tmp_path, told, tags))[0] == 2
    assert told == []


async def test_address_that_is_answered_again_is_forgotten_and_told(plc: Plc, tmp_path: Path) -> None:
    plc.refuse, told, clock = {("holding", 4)}, [], FakeClock()  # type: ignore[var-annotated]
    made = source(plc, tmp_path, told, clock=clock)
    await made.connect()
    await made.read()
    plc.refuse = set()
    await clock.advance(61)
    await made.read()
    await made.close()
    assert [health.active for health in told] == [True, False]
    assert (await one_read(plc, tmp_path, []))[0] == 1


async def test_what_was_learnt_belongs_to_addresses_not_to_names(plc: Plc, tmp_path: Path) -> None:
    plc.refuse = {("holding", 4)}
    await one_read(plc, tmp_path, [])
    moved = {"new": {"at": 40100}} | {f"x{i}": {"at": 40001 + i} for i in reversed(range(10))}
    requests, quality = await one_read(plc, tmp_path, [], moved)
    assert requests == 3
    assert set(quality.values()) == {GOOD}
    other_unit = {"a": {"at": 40004, "unit_id": 2}, "b": {"at": 40005, "unit_id": 2}}
    plc.refuse = set()
    assert await one_read(plc, tmp_path, [], other_unit) == (1, {0: GOOD, 1: GOOD})


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\x00" * 100,
        b"[]",
        b'{"version": 99, "refused": [], "cuts": []}',
        b'{"version": 1, "refused": [[1, "holding", "x", 1]], "cuts": []}',
        b'{"version": 1, "refused": 5, "cuts": []}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
async def test_damaged_file_starts_fresh_and_is_replaced(plc: Plc, tmp_path: Path, damage: bytes) -> None:
    plc.refuse = {("holding", 4)}
    (tmp_path / FILE).write_bytes(damage)
    requests, quality = await one_read(plc, tmp_path, [])
    assert quality[4] == Quality.BAD_DEVICE
    assert requests > 5
    assert (await one_read(plc, tmp_path, []))[0] == 2


async def test_folder_that_cannot_be_written_costs_only_the_next_search(plc: Plc, tmp_path: Path) -> None:
    plc.refuse = {("holding", 4)}
    (tmp_path / "file").write_text("no folder")
    requests, quality = await one_read(plc, tmp_path / "file", [])
    assert quality[4] == Quality.BAD_DEVICE
    assert requests > 5
