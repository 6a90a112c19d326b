"""What is said and heard of our host id, and the file that births are kept in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sparkplug.memory import Memory
from drivers.sparkplug.state import State


def said(online: bool, timestamp: object) -> bytes:
    return json.dumps({"online": online, "timestamp": timestamp}).encode()


def test_will_and_state_carry_one_time() -> None:
    state = State("line-1")
    will = state.begin(1000)
    assert (will.topic, will.qos, will.retain, json.loads(will.payload)) == (
        "spBv1.0/STATE/line-1",
        1,
        True,
        {"online": False, "timestamp": 1000},
    )
    assert (state.online, state.offline) == (said(True, 1000), said(False, 1000))


def test_who_says_that_we_are_gone_later_than_us_makes_us_later_still() -> None:
    state = State("line-1")
    state.begin(1000)
    assert state.heard(said(False, 1000))
    assert not state.outdated
    assert not state.heard(said(True, 5000))
    assert not state.outdated
    assert state.heard(said(False, 5000))
    assert state.outdated
    assert json.loads(state.begin(2000).payload)["timestamp"] == 5001
    assert not state.outdated


@pytest.mark.parametrize("payload", [b"", b"OFFLINE", b"[]", b"3", b'{"online": false}', b'{"online": 0, "timestamp": 9}', b"[" * 100_000])
def test_another_word_says_nothing(payload: bytes) -> None:
    assert not State("line-1").heard(payload)


@given(st.one_of(st.binary(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(lambda x: said(False, x))))
def test_any_bytes_can_be_said(payload: bytes) -> None:
    state = State("line-1")
    state.heard(payload)
    assert 0 < json.loads(state.begin(1000).payload)["timestamp"] < 2**63


def test_what_is_kept_is_there_again(tmp_path: Path) -> None:
    Memory(tmp_path / "new").save({"g/n": {"seq": 3}})
    assert Memory(tmp_path / "new").load() == {"g/n": {"seq": 3}}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["births.json"]


@pytest.mark.parametrize(
    "damaged", [b"", b"{", b"\xff", b"[]", b'{"version": 0, "nodes": {}}', b'{"version": 1, "nodes": []}', b"[" * 100_000]
)
def test_a_file_that_cannot_be_read_is_as_none(tmp_path: Path, damaged: bytes) -> None:
    memory = Memory(tmp_path)
    assert memory.load() == {}
    (tmp_path / "births.json").write_bytes(damaged)
    assert memory.load() == {}
