"""Devices that send the bytes of their values in another order."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from gateway.contract import GOOD, Batch
from gateway.testkit.servers.modbus import Plc

Make = Callable[..., Any]


def by_tag(batch: Batch) -> dict[int, tuple[float, int]]:
    return {
        tag: (value, quality) for tag, value, quality in zip(batch.tag.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True)
    }


async def test_order_of_a_tag_overrides_the_order_of_the_device(plc: Plc, make: Make) -> None:
    plc.set("holding", 0, list(struct.unpack(">HH", struct.pack(">f", 2.5))))
    plc.set("holding", 2, list(reversed(struct.unpack(">HH", struct.pack(">f", 2.5)))))
    tags = {"a": {"at": 40001, "as": "float32", "order": "ABCD"}, "b": {"at": 40003, "as": "float32"}}
    source = make(plc.url, tags, word_order="CDAB")
    await source.connect()
    assert by_tag(await source.read()) == {0: (2.5, GOOD), 1: (2.5, GOOD)}


@pytest.mark.parametrize("order", ["BADC", "DCBA"])
async def test_bits_and_exponents_of_a_device_that_turns_bytes_are_those_of_its_numbers(plc: Plc, make: Make, order: str) -> None:
    plc.holds({0: 0x0503, 1: 0x0200})
    tags = {
        "whole": {"at": 40001},
        "low": {"at": 40001, "bit": 2},
        "high": {"at": 40001, "bit": 10},
        "some": {"at": 40001, "bits": [8, 10]},
        "straight": {"at": 40001, "bit": 2, "order": "ABCD"},
        "scaled": {"at": 40001, "scale_from": 40002},
    }
    source = make(plc.url, tags, word_order=order)
    await source.connect()
    values = by_tag(await source.read())
    assert [values[tag] for tag in range(6)] == [(value, GOOD) for value in (0x0305, 1.0, 0.0, 3.0, 0.0, 77_300.0)]
