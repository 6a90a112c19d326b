"""`only_when` and `settle`: judged on the machine's own time."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.contract import Batch, Tag, TagOptions
from gateway.engine.gate import Gate
from gateway.engine.stages import Table, run
from gateway.expression import compile_expression

NOW_NS = 1_800_000_000_000_000_000
SECOND = 1_000_000_000
TAGS = {name: Tag(i, "m1", name, TagOptions()) for i, name in enumerate(("running", "speed", "temperature"))}


class Machine:
    def __init__(self, text: str, settle: float = 0.0) -> None:
        self.table = Table.of(tuple(TAGS.values()))
        self.gate = Gate(compile_expression(text), TAGS, settle)

    def at(self, seconds: float, **values: float) -> bool:
        names = list(values)
        batch = Batch.of([TAGS[n].index for n in names], [NOW_NS + int(seconds * SECOND)] * len(names), [values[n] for n in names])
        run(batch, self.table, NOW_NS + int(seconds * SECOND))
        return self.gate.is_open(self.table)


def test_closed_until_its_tags_were_read() -> None:
    machine = Machine("running == 1 and speed > 300")
    assert not machine.at(0, temperature=20)
    assert not machine.at(1, running=1)
    assert machine.at(2, speed=500)
    assert not machine.at(3, running=0)


def test_opens_after_it_held_for_the_settling_time() -> None:
    machine = Machine("running == 1", settle=10)
    assert not machine.at(0, running=1)
    assert not machine.at(9, running=1)
    assert machine.at(10, running=1)
    assert not machine.at(11, running=0)
    assert not machine.at(12, running=1)
    assert machine.at(22, running=1)


def test_settles_although_the_tag_only_reports_changes() -> None:
    """An OPC UA or MQTT tag says `running` once; the machine's other readings tell that time goes on."""
    machine = Machine("running == 1", settle=10)
    assert not machine.at(0, running=1)
    assert not machine.at(5, temperature=20)
    assert machine.at(10, temperature=21)


def test_a_waveform_tells_time_too() -> None:
    machine = Machine("running == 1", settle=10)
    machine.at(0, running=1)
    assert machine.gate.is_open(machine.table, NOW_NS + 10 * SECOND)


def test_a_bad_value_closes_it() -> None:
    machine = Machine("running == 1")
    assert machine.at(0, running=1)
    assert not machine.at(1, running=float("nan"))


@pytest.mark.parametrize("year", ["2000", "2100"])
def test_a_wrong_clock_does_not_settle_it(year: str) -> None:
    machine = Machine("running == 1", settle=10)
    machine.at(0, running=1)
    wrong = int(np.datetime64(f"{year}-01-01", "ns").astype(np.int64))
    run(Batch.of([2], [wrong], [20.0]), machine.table, NOW_NS)
    assert not machine.gate.is_open(machine.table)
