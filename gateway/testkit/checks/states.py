"""What can be said of saved state without knowing its detector."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import numpy as np

GARBAGE = (b"", b"\x00", b"not a state", b"{}", b"[]", b"PK\x03\x04" + bytes(40), bytes(range(256)) * 40)
UNKNOWN_VERSION = 987_654


def arrays(state: bytes) -> dict[str, np.ndarray[Any, Any]] | None:
    """The members of an npz, read without pickle; None if it is none."""
    if not state.startswith(b"PK"):
        return None
    with np.load(io.BytesIO(state), allow_pickle=False) as saved:
        return {name: saved[name] for name in saved.files}


def pickled(state: bytes) -> bool:
    """Does it begin as pickles of protocol 2 and later do, itself or in a member of bytes?"""
    members = arrays(state) or {}
    return any(_pickle(piece) for piece in (state, *(m.tobytes() for m in members.values() if m.dtype.kind in "uiSV")))


def _pickle(piece: bytes) -> bool:
    return len(piece) > 2 and piece[0] == 0x80 and 2 <= piece[1] <= 5 and piece.rstrip(b"\x00").endswith(b".")


def of_another_version(state: bytes) -> bytes:
    """The same state with another `version`; knows npz, JSON and MessagePack."""
    members = arrays(state)
    if members is not None and "version" in members:
        out = io.BytesIO()
        changed: dict[str, Any] = members | {"version": np.array(UNKNOWN_VERSION)}
        np.savez(out, **changed)
        return out.getvalue()
    for form in (msgspec.json, msgspec.msgpack):
        try:
            table = form.decode(state)
        except (ValueError, msgspec.MsgspecError):
            continue
        if isinstance(table, dict) and "version" in table:
            return bytes(form.encode(table | {"version": UNKNOWN_VERSION}))
    raise AssertionError(f"a state that begins {state[:20]!r} tells no version: npz, JSON or MessagePack with a field `version`")
