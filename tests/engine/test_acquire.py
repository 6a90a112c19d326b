"""Which blocks of a fast channel a watch takes; the rest is counted with its reason."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateway.contract import Batch, BlockWatchOptions, Tag, TagOptions, Waveform
from gateway.engine.acquire import Acquisition
from gateway.engine.gate import Gate
from gateway.engine.stages import Table, run
from gateway.expression import compile_expression

NOW_NS = 1_800_000_000_000_000_000
SECOND = 1_000_000_000
TAGS = (Tag(0, "m1", "calm", TagOptions()), Tag(1, "m1", "x", TagOptions(kind="waveform")), Tag(2, "m1", "y", TagOptions(kind="waveform")))


class Channels:
    """Blocks of one second, one each second; the speed changes by `swing` in each."""

    def __init__(self, **options: Any) -> None:
        self.options = BlockWatchOptions.model_validate({"on": "m1/*", **options})
        self.table = Table.of(TAGS)
        known = {tag.name: tag for tag in TAGS}
        triggers = {"m1": Gate(compile_expression(self.options.trigger), known, 0.0)} if self.options.trigger else {}
        self.acquisition = Acquisition(self.options, triggers)
        self.swing: float | None = None

    def at(self, second: int, tag: int = 1, calm: int | None = None) -> bool:
        t_ns = NOW_NS + second * SECOND
        if calm is not None:
            run(Batch.of([0], [t_ns], [float(calm)]), self.table, t_ns)
        block = Waveform(tag=tag, t_ns=t_ns, rate_hz=100.0, samples=np.zeros(100, dtype=np.float32))
        return self.acquisition.takes(block, "m1", self.table, lambda _: self.swing)


def test_each_block_is_taken_unless_the_options_say_otherwise() -> None:
    channels = Channels()
    assert [channels.at(second) for second in range(3)] == [True] * 3
    assert channels.acquisition.left_out == {}


def test_one_block_of_each_channel_in_an_interval() -> None:
    channels = Channels(every="10s")
    assert [second for second in range(25) if channels.at(second)] == [0, 10, 20]
    assert [second for second in range(25) if channels.at(second, tag=2)] == [0, 10, 20]
    assert channels.acquisition.left_out == {"interval": 44}


def test_a_clock_that_was_set_back_does_not_stop_it() -> None:
    channels = Channels(every="10s")
    assert channels.at(1000)
    assert channels.at(3)
    assert not channels.at(4)


def test_a_trigger_takes_one_block_each_time_it_begins_to_hold() -> None:
    channels = Channels(trigger="calm == 1")
    calm = [0, 1, 1, 0, 0, 1, 1]
    assert [second for second, value in enumerate(calm) if channels.at(second, calm=value)] == [1, 5]
    assert channels.acquisition.left_out == {"trigger": 5}


def test_a_trigger_comes_besides_the_interval() -> None:
    channels = Channels(trigger="calm == 1", every="100s")
    assert [second for second in range(6) if channels.at(second, calm=int(second == 3))] == [0, 3]


def test_a_block_of_varying_speed_is_left_out_and_the_next_steady_one_taken() -> None:
    channels = Channels(every="10s", steady=0.02)
    channels.swing = 0.03
    assert not channels.at(0)
    channels.swing = 0.01
    assert channels.at(1)
    assert not channels.at(2)
    assert channels.acquisition.left_out == {"speed": 1, "interval": 1}


def test_a_trigger_waits_for_a_steady_block_while_it_holds() -> None:
    channels = Channels(trigger="calm == 1")
    channels.swing = 0.5
    assert not channels.at(0, calm=1)
    channels.swing = None
    assert channels.at(1)
    channels.swing = 0.5
    assert not channels.at(2, calm=0)
    assert not channels.at(3, calm=1)
    channels.swing = 0.0
    assert not channels.at(4, calm=0)
