"""A driver that breaks the contract fails as a source; the pipeline never sees it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gateway.contract import Batch, Item, Record, RecordOptions, RecordSpec, Tag, Waveform
from gateway.engine.admit import Admission, Unsound
from gateway.engine.inbox import Inbox

BATCH = Batch.of([2, 4], [1, 2], [1.0, 2.0])
BLOCK = Waveform(tag=4, t_ns=1, rate_hz=1000.0, samples=np.zeros(3, np.float32))
RECORD = Record(source="m/step", t_ns=1, fields={})
ADMISSION = Admission([Tag(2, "m", "a"), Tag(4, "m", "b")], [RecordSpec("m", "step", RecordOptions())])


@pytest.mark.parametrize("item", [BATCH, Batch.of([], [], []), BLOCK, RECORD])
def test_what_is_sound_is_admitted(item: Item) -> None:
    ADMISSION.check(item)


@pytest.mark.parametrize(
    "item",
    [
        Batch.of([3], [1], [1.0]),
        Batch.of([5], [1], [1.0]),
        Batch.of([-1], [1], [1.0]),
        Batch.of([2], [1], [1.0], [15]),
        replace(BATCH, value=np.zeros(3)),
        replace(BATCH, value=np.zeros(2, np.float32)),
        replace(BATCH, t_ns=np.zeros((2, 1), np.int64)),
        replace(BLOCK, tag=3),
        replace(BLOCK, tag=-1),
        replace(BLOCK, quality=256),
        replace(BLOCK, rate_hz=0.0),
        replace(BLOCK, rate_hz=float("nan")),
        replace(BLOCK, rate_hz=1e-300),
        replace(BLOCK, dropped=-1),
        replace(BLOCK, samples=np.zeros(3)),
        replace(BLOCK, t_ns=2**63),
        replace(RECORD, source="m/other"),
        replace(RECORD, t_ns=-(2**63) - 1),
        replace(RECORD, fields=["no", "mapping"]),
        "no item",
    ],
)
async def test_what_is_not_is_raised_in_the_task_of_the_source(item: Any) -> None:
    inbox = Inbox("drop_oldest", wake=lambda: None, took=lambda _: None, dropped=lambda *_: None, admit=ADMISSION.check)
    with pytest.raises(Unsound):
        await inbox.emit([item])
    assert inbox.take() == []
