"""`clock.json`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.clock import Record, Shift, record


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    known = Record(boot="b", offset_ns=5, state="not_yet", seen_ns=7, first=3, released=4, doubted=[(1, 2)], shifts=[Shift(1, 2, 9)])
    record.save(tmp_path, msgspec.json.encode(known))
    assert record.load(tmp_path) == known
    assert [file.name for file in tmp_path.iterdir()] == ["clock.json"]


def test_none_or_a_damaged_one_is_an_empty_one(tmp_path: Path) -> None:
    assert record.load(tmp_path) == Record()
    for text in ("", "{", '{"boot": 1}', "[]", '{"state": "fine"}'):
        (tmp_path / record.FILE_NAME).write_text(text)
        assert record.load(tmp_path) == Record()
