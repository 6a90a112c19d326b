"""Whatever comes up from a process is items that its source may give, or Broken."""

from __future__ import annotations

import asyncio
import os
import random

import numpy as np
import pytest

from gateway.contract import Batch, Item, Record, RecordOptions, RecordSpec, Tag, Waveform
from gateway.engine.admit import Admission
from gateway.isolate import frames
from gateway.isolate.columns import Judge, from_json, packed, to_json
from gateway.isolate.frames import Broken

MUTATED = 200 * int(os.environ.get("LINESIDE_LIVES", "12"))
SEED = int(os.environ.get("LINESIDE_SEED", "20270115"))
TAGS, RECORDS = [Tag(3, "m", "a"), Tag(7, "m", "v")], [RecordSpec("m", "step", RecordOptions())]
ITEMS: list[Item] = [
    Batch.of([3, 7], [1, 2], [1.5, np.nan], [0, 17]),
    Waveform(tag=7, t_ns=5, rate_hz=1000.0, samples=np.arange(4, dtype=np.float32), load=0.5),
    Record(source="m/step", t_ns=6, fields={"order": "4711", "deep": [[{"a": None}]]}),
]


async def through(body: bytes) -> tuple[frames.Up, int]:
    reader = asyncio.StreamReader()
    reader.feed_data(frames.HEAD.pack(len(body)) + body)
    reader.feed_eof()
    return await frames.next_up(reader, lambda: frames.LARGEST)


async def test_items_come_through_as_they_were() -> None:
    body = frames.pack(frames.Done(1, packed(ITEMS)))[frames.HEAD.size :]
    frame, _ = await through(body)
    assert isinstance(frame, frames.Done)
    batch, block, record = Judge(TAGS, RECORDS).items(frame.items)
    assert isinstance(batch, Batch)
    assert isinstance(block, Waveform)
    np.testing.assert_array_equal(batch.value, [1.5, np.nan])
    assert block.samples.tolist() == [0, 1, 2, 3]
    assert record == ITEMS[2]


async def test_mutated_frames_are_items_that_are_admitted_or_broken() -> None:
    dice, judge, admission = random.Random(SEED), Judge(TAGS, RECORDS), Admission(TAGS, RECORDS)
    sound = frames.pack(frames.Done(1, packed(ITEMS)))[frames.HEAD.size :]
    broken = 0
    for _ in range(MUTATED):
        body = bytearray(sound)
        for _ in range(dice.choice((1, 1, 2, 8))):
            at = dice.randrange(len(body))
            new = dice.choice((bytes([dice.randrange(256)]), b"\xdd\xff\xff\xff\xff", b"\xc6\x7f\xff\xff\xff", b"\x91" * 500, b"\xff"))
            body[at : at + dice.choice((1, len(new)))] = new
        try:
            frame, _ = await through(bytes(body))
            items = judge.items(frame.items) if isinstance(frame, frames.Done) else []
        except Broken:
            broken += 1
            continue
        for item in items:
            if not isinstance(item, Waveform):  # how long a block may be is for the admission to say
                admission.check(item)
    assert MUTATED / 4 < broken < MUTATED


async def test_more_than_may_come_is_refused_before_it_is_read() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(frames.HEAD.pack(frames.LARGEST + 1))
    with pytest.raises(Broken, match="a message of"):
        await frames.next_up(reader, lambda: frames.LARGEST)


def test_json_keeps_what_json_has_no_word_for_and_refuses_what_cannot_be_written() -> None:
    assert from_json(to_json({"big": 2**80, "half": "a\ud800"})) == {"big": 2**80, "half": "a?"}
    for bad in (b'"\\ud800"', b"[" * 5000, b"[" * 200 + b"]" * 200, b"{", b"\xff", b"1" * 5000):
        with pytest.raises(Broken):
            from_json(bad)
