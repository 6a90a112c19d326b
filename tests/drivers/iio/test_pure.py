"""Types of scan elements, what lies where in a scan, and what time stamps tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.iio.blocks import Blocks, Scaled
from drivers.iio.scan import ScanType, layout, parse_type, raw_numbers, unpack
from drivers.iio.timing import lost_samples, measured_rate
from gateway.contract import GOOD, Quality


@st.composite
def kinds(draw: st.DrawFn) -> ScanType:
    storage = draw(st.sampled_from([8, 16, 32, 64]))
    bits = draw(st.integers(1, storage))
    return ScanType(draw(st.booleans()), draw(st.booleans()), bits, storage, draw(st.integers(1, 4)), draw(st.integers(0, storage - bits)))


@given(kinds())
def test_a_type_reads_back_as_it_is_written(kind: ScanType) -> None:
    order, sign, repeat = "be" if kind.big_endian else "le", "s" if kind.signed else "u", f"X{kind.repeat}" if kind.repeat > 1 else ""
    assert parse_type(f"{order}:{sign}{kind.bits}/{kind.storage_bits}{repeat}>>{kind.shift}\n") == kind


@given(kinds(), st.data())
def test_every_number_comes_out_of_the_bits_around_it(kind: ScanType, data: st.DataObject) -> None:
    """Bits beside the meaningful ones may be anything: a status, or noise."""
    low, high = (-(2 ** (kind.bits - 1)), 2 ** (kind.bits - 1) - 1) if kind.signed else (0, min(2**kind.bits, 2**63) - 1)
    number = data.draw(st.integers(low, high))
    noise = data.draw(st.integers(0, 2**kind.storage_bits - 1))
    mask = ((1 << kind.bits) - 1) << kind.shift
    word = ((number << kind.shift) & mask) | (noise & ~mask & ((1 << kind.storage_bits) - 1))
    assert raw_numbers(np.array([word], dtype=kind.dtype), kind).tolist() == [number]


@given(st.lists(kinds().filter(lambda kind: kind.repeat in (1, 2, 4)), min_size=1, max_size=6))
def test_elements_lie_on_multiples_of_their_size_and_never_over_each_other(elements: list[ScanType]) -> None:
    scan = layout([(f"c{i}", kind) for i, kind in enumerate(elements)])
    assert scan.fields is not None
    ends = 0
    for i, kind in enumerate(elements):
        offset = scan.fields[f"c{i}"][1]
        assert offset % kind.size == 0
        assert ends <= offset < ends + kind.size
        ends = offset + kind.size
    assert scan.itemsize >= ends
    assert all(scan.itemsize % kind.size == 0 for kind in elements)


@pytest.mark.parametrize("text", ["", "le:s16/16", "le:s17/16>>0", "le:s16/24>>0", "xe:s16/16>>0", "le:s12/16>>5", "le:f32/32>>0"])
def test_what_the_kernel_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"scan element|are not in"):
        parse_type(text)


def test_a_scan_as_an_adxl355_gives_it() -> None:
    """Three axes of 20 bits in big endian words of 32, shifted by 12, then the time on the next multiple of eight."""
    axis, stamp = parse_type("be:s20/32>>12"), parse_type("le:s64/64>>0")
    scan = layout([("x", axis), ("y", axis), ("z", axis), ("timestamp", stamp)])
    words = (0x7FFFF123).to_bytes(4), (0xFFFFF000).to_bytes(4), (0x80000000).to_bytes(4)
    data = b"".join(words) + bytes(4) + (1_800_000_000_000_000_000).to_bytes(8, "little")
    columns = unpack(data + b"half a scan", scan, {"x": axis, "y": axis, "z": axis, "timestamp": stamp})
    assert {name: column.tolist() for name, column in columns.items()} == {
        "x": [2**19 - 1],
        "y": [-1],
        "z": [-(2**19)],
        "timestamp": [1_800_000_000_000_000_000],
    }


@given(st.lists(st.integers(1, 20), max_size=5), st.integers(40, 200), st.floats(0, 0.2))
def test_what_is_missing_is_counted_to_the_sample_through_jitter(gaps: list[int], samples: int, jitter: float) -> None:
    steps = np.ones(samples - 1)
    steps[: len(gaps)] += gaps
    noise = np.random.default_rng(1).uniform(-jitter, jitter, samples)
    times = np.rint((np.concatenate([[0], np.cumsum(steps)]) + noise) * 1_000_000).astype(np.int64)
    assert lost_samples(times, 1000.0) == sum(gaps)


def test_the_true_rate_is_told_by_the_stamps_but_not_if_it_cannot_be() -> None:
    times = (np.arange(1000) * (1e9 / 3100)).astype(np.int64)
    assert measured_rate(times, 3200.0) == pytest.approx(3100, rel=1e-5)
    assert measured_rate(times, 800.0) is None
    assert measured_rate(np.repeat(times[:100], 8), 3200.0) is None  # one stamp for what a FIFO held
    assert measured_rate(times[:10], 3200.0) is None


X = Scaled(tag=3, channel="x", scale=0.5, offset=2.0, own=(10.0, 1.0))


TODAY_NS = 1_800_000_000 * 10**9


@given(st.lists(st.integers(0, 70), min_size=1, max_size=12))
def test_blocks_are_the_samples_in_order_whatever_the_pieces(pieces: list[int]) -> None:
    blocks, at, found = Blocks([X], 100.0, 0.5, wall=True), 0, []
    for size in pieces:
        numbers = np.arange(at, at + size)
        found += blocks.feed({"x": numbers}, TODAY_NS + numbers * 10_000_000, 0)
        at += size
    assert len(found) == at // 50
    joined = np.concatenate([np.empty(0), *(block.samples for block in found)])
    assert joined.tolist() == [(n + 2) * 0.5 * 10 + 1 for n in range(len(joined))]
    assert [(block.t_ns, block.dropped, block.tag) for block in found] == [(TODAY_NS + i * 500_000_000, 0, 3) for i in range(len(found))]


def test_stamps_of_a_kernel_whose_clock_was_never_set_tell_no_time() -> None:
    """A board that booted in 1970: the gateway's own time, which is put right later, is the better one."""
    (block,) = Blocks([X], 100.0, 0.5, wall=True).feed({"x": np.zeros(50, np.int64)}, np.arange(50) * 10_000_000, TODAY_NS)
    assert (block.t_ns, block.rate_hz) == (TODAY_NS - 500_000_000, 100.0)


def test_a_gap_between_two_blocks_belongs_to_the_second() -> None:
    blocks = Blocks([X], 100.0, 0.5, wall=True)
    times = np.concatenate([np.arange(50), np.arange(50) + 57]) * 10_000_000
    found = blocks.feed({"x": np.zeros(100, np.int64)}, times, 0)
    assert [(block.dropped, block.quality) for block in found] == [(0, GOOD), (7, GOOD)], "each is one stretch of time"


def test_a_block_with_a_gap_inside_is_bad() -> None:
    blocks = Blocks([X], 100.0, 0.5, wall=True)
    times = np.concatenate([np.arange(30), np.arange(70) + 34]) * 10_000_000
    found = blocks.feed({"x": np.zeros(100, np.int64)}, times, 0)
    assert [(block.dropped, block.quality) for block in found] == [(4, Quality.BAD_LENGTH), (0, GOOD)]


def test_without_stamps_the_time_is_counted_back_from_when_it_was_read() -> None:
    (block,) = Blocks([X], 100.0, 0.5, wall=False).feed({"x": np.zeros(60, np.int64)}, None, 1_000_000_000, lost=4)
    assert (block.t_ns, block.dropped, block.rate_hz) == (400_000_000, 4, 100.0)
    assert block.quality == Quality.BAD_LENGTH, "nobody knows where they are missing"


def test_without_a_rate_the_first_stamps_tell_it() -> None:
    blocks = Blocks([X], None, 0.5, wall=True)
    times = np.arange(100) * 10_000_000
    found = blocks.feed({"x": np.zeros(20, np.int64)}, times[:20], 0) + blocks.feed({"x": np.zeros(80, np.int64)}, times[20:], 0)
    assert [(block.rate_hz, len(block.samples)) for block in found] == [(100.0, 50), (100.0, 50)]
