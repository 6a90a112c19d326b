"""`clock.json`."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from gateway.clock import Record, Shift, gateway_now_ns, record, signs


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    known = Record(boot="b", offset_ns=5, state="not_yet", seen_ns=7, first=3, released=4, doubted=[(1, 2)], shifts=[Shift(1, 2, 9)])
    record.save(tmp_path, msgspec.json.encode(known))
    assert record.load(tmp_path) == known
    assert [file.name for file in tmp_path.iterdir()] == ["clock.json"]


def test_commands_beside_a_gateway_go_by_its_clock(tmp_path: Path) -> None:
    """In 1970 a shelf of an hour has to end an hour from now, by the clock that looks at it."""
    assert abs(gateway_now_ns(tmp_path) - time.time_ns()) < 10**9
    known = Record(boot=signs.boot_id(), offset_ns=10**18, state="not_yet")
    record.save(tmp_path, msgspec.json.encode(known))
    assert abs(gateway_now_ns(tmp_path) - 10**18 - signs.since_boot_ns()) < 10**9
    record.save(tmp_path, msgspec.json.encode(Record(boot="another", offset_ns=10**18, state="not_yet")))
    assert abs(gateway_now_ns(tmp_path) - time.time_ns()) < 10**9


def test_none_or_a_damaged_one_is_an_empty_one(tmp_path: Path) -> None:
    assert record.load(tmp_path) == Record()
    for text in ("", "{", '{"boot": 1}', "[]", '{"state": "fine"}'):
        (tmp_path / record.FILE_NAME).write_text(text)
        assert record.load(tmp_path) == Record()
