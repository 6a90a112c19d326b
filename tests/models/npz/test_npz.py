"""The form of saved states: what was written before is read, and what is none of ours is a StateError."""

from __future__ import annotations

import io

import numpy as np
import pytest

from gateway.contract import StateError
from models import npz

HEAD = {"made_of": "x", "machines": [["press-07", ["oil"], 1_800_000_000_000_000_000]]}


def test_a_state_of_before_this_package_is_read_and_written_byte_for_byte() -> None:
    """As river, machine, sensor and anomaly wrote it each by itself: version first, then what they had."""
    arrays = {"0_mean": np.arange(3.0), "paths": np.array(["press-07/oil"], dtype=np.str_)}
    out = io.BytesIO()
    np.savez(out, version=np.int64(3), head=npz.text(HEAD), **arrays)
    assert npz.dump(3, {npz.HEAD: npz.text(HEAD), **arrays}) == out.getvalue()
    found = npz.load(out.getvalue(), 3)
    assert list(found) == ["head", "0_mean", "paths"]
    assert npz.value(found["head"]) == HEAD
    assert npz.under("0_", found)["mean"].tolist() == [0.0, 1.0, 2.0]


def test_another_version_is_named() -> None:
    with pytest.raises(StateError, match="state is of version 2, not 3"):
        npz.load(npz.dump(2, {}), 3)


WHOLE = npz.dump(1, {"mean": np.arange(50.0)})
OBJECTS = io.BytesIO()
np.savez(OBJECTS, version=np.int64(1), bad=np.array([print], dtype=object))


@pytest.mark.parametrize("state", [b"", b"PK\x03\x04", b"garbage", WHOLE[:100], WHOLE[:-1], WHOLE[200:], OBJECTS.getvalue()])
def test_what_is_damaged_or_holds_code_cannot_be_read(state: bytes) -> None:
    with pytest.raises(StateError, match="cannot be read"):
        npz.load(state, 1)


def test_a_flipped_bit_in_the_numbers_is_seen() -> None:
    at = WHOLE.index(np.arange(50.0).tobytes()) + 40
    with pytest.raises(StateError, match="cannot be read"):
        npz.load(WHOLE[:at] + bytes([WHOLE[at] ^ 1]) + WHOLE[at + 1 :], 1)


def test_a_state_without_a_version_is_none() -> None:
    out = io.BytesIO()
    np.savez(out, mean=np.zeros(1))
    with pytest.raises(StateError, match="version"):
        npz.load(out.getvalue(), 1)


@pytest.mark.parametrize("text", ["{", "[1,", ""])
def test_a_head_that_is_no_json(text: str) -> None:
    with pytest.raises(StateError), npz.readable():
        npz.value(np.array(text))
