"""Writing: what goes over the wire is what reading gives back."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from gateway import registry
from gateway.contract import ConfigError, NotConnected, Source, SourceContext, Writer
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.modbus import Plc


def made(plc: Plc, tag: dict[str, Any], **options: Any) -> tuple[Source, SourceContext]:
    plugin = registry.source("modbus")
    context = source_context(plugin, {"t": {"writable": [-1e9, 1e9]} | tag})
    given = {"modbus": plc.url, "poll_seconds": 0, "timeout": "300ms"} | options
    return plugin.build(plugin.options.model_validate(given), context), context


async def written(plc: Plc, tag: dict[str, Any], value: float, **options: Any) -> float:
    """Writes, reads, and gives what was read in engineering units."""
    source, context = made(plc, tag, **options)
    assert isinstance(source, Writer)
    await source.connect()
    try:
        await source.write(context.tags[0], value)
        batch: Any = await source.read()
    finally:
        await source.close()
    given = context.tags[0].options
    return float(batch.value[0]) * given.scale + given.offset


@pytest.mark.parametrize("order", ["ABCD", "CDAB", "BADC", "DCBA"])
@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int16", -123),
        ("uint16", 65535),
        ("int32", -70_000),
        ("uint32", 4_000_000_000),
        ("int64", -(2**40)),
        ("uint64", 2**50),
        ("float32", 51.5),
        ("float64", -1.25e300),
        ("bcd16", 1234),
        ("bcd32", 12_345_678),
    ],
)
async def test_value_of_every_type_and_order_comes_back(plc: Plc, dtype: str, order: str, value: float) -> None:
    assert await written(plc, {"at": 40011, "as": dtype, "order": order, "writable": [-1e301, 1e301]}, value) == value


@pytest.mark.parametrize(
    ("tag", "value", "function"),
    [({"at": 5}, 1, 5), ({"at": 40011}, 7, 6), ({"at": 40011, "as": "float32"}, 7, 16), ({"at": 40011, "as": "float64"}, 7, 16)],
)
async def test_function_is_the_smallest_that_does_it(plc: Plc, tag: dict[str, Any], value: float, function: int) -> None:
    assert await written(plc, tag, value) == value
    assert [message[0] for _, message in plc.asked if message[0] > 4] == [function]


async def test_scale_and_offset_are_undone(plc: Plc) -> None:
    assert await written(plc, {"at": 40011, "as": "int16", "scale": 0.1, "offset": -40}, 21.5) == pytest.approx(21.5)
    assert plc.words("holding", 10, 1) == [615]


async def test_order_of_the_source_holds_for_writing(plc: Plc) -> None:
    await written(plc, {"at": 40011, "as": "float32"}, 51.5, word_order="CDAB")
    assert plc.words("holding", 10, 2) == list(struct.unpack(">HH", struct.pack(">f", 51.5)))[::-1]


async def test_unit_of_the_tag_is_written(plc: Plc) -> None:
    plc.others[7] = Plc()
    await written(plc, {"at": 40011, "unit_id": 7}, 5)
    assert (plc.others[7].words("holding", 10, 1), plc.words("holding", 10, 1)) == ([5], [0])


@pytest.mark.parametrize("framing", ["mbap", "rtu", "ascii"])
async def test_every_framing_writes(framing: Any) -> None:
    async with Plc(framing) as plc:
        assert await written(plc, {"at": 40011, "as": "float32"}, 2.5) == 2.5


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [
        ({"at": 40011}, 70_000, "does not fit into uint16"),
        ({"at": 40011}, -1, "does not fit into uint16"),
        ({"at": 40011, "as": "bcd16"}, 10_000, "does not fit into bcd16"),
        ({"at": 40011, "as": "float32"}, 1e300, "does not fit into float32"),
        ({"at": 40011}, float("nan"), "does not fit"),
        ({"at": 40011, "writable": [0.5, 9.5]}, 0.5, "m1/t: uint16 cannot hold 0.5, the nearest it can is 0"),
        ({"at": 40011, "as": "int16", "scale": 0.1, "offset": -40}, 21.53, "int16 cannot hold 21.53, the nearest it can is 21.5"),
        ({"at": 1}, 2, "a coil is 0 or 1"),
        ({"at": 40011, "writable": None}, 1, "m1/t is not writable"),
    ],
)
async def test_value_the_tag_cannot_hold_is_not_sent(plc: Plc, tag: dict[str, Any], value: float, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        await written(plc, tag, value)
    assert plc.requests == 0


async def test_device_that_refuses_says_why(plc: Plc) -> None:
    plc.read_only = {("holding", 10)}
    with pytest.raises(ConfigError, match=r"m1/t: the device refuses 5: exception 3, illegal data value"):
        await written(plc, {"at": 40011}, 5)


async def test_silent_device_is_not_connected(plc: Plc) -> None:
    source, context = made(plc, {"at": 40011})
    await source.connect()
    plc.silent = True
    assert isinstance(source, Writer)
    with pytest.raises(NotConnected, match="did not answer"):
        await source.write(context.tags[0], 5)
    await source.close()


async def test_confirmation_of_something_else_is_not_connected(plc: Plc) -> None:
    plc.mangle = lambda frame: frame[:-1] + bytes([frame[-1] ^ 1])
    with pytest.raises(NotConnected, match="names something else"):
        await written(plc, {"at": 40011}, 5)
