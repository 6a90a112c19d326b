"""The state as bytes: npz without pickle. River's own pickles are code, and break between its versions."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping

import numpy as np

from gateway.contract import StateError
from models.river.config import RiverOptions
from models.river.member import Arrays, Member

VERSION = 2


def dump(options: RiverOptions, members: Mapping[str, tuple[int, Member]]) -> bytes:
    """Of each machine: time of its last row, and its member's arrays."""
    head = {
        "made_of": _made_of(options),
        "machines": [[machine, list(member.names), last] for machine, (last, member) in members.items()],
    }
    arrays = {f"{i}_{name}": array for i, (_, member) in enumerate(members.values()) for name, array in member.arrays().items()}
    out = io.BytesIO()
    np.savez(out, version=np.int64(VERSION), head=np.array(json.dumps(head), dtype=np.str_), **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def read(options: RiverOptions, state: bytes) -> Iterator[tuple[str, tuple[str, ...], int, Arrays]]:
    """(machine, tags, time of the last row, arrays) of each machine; raises StateError when the state does not fit."""
    try:
        with np.load(io.BytesIO(state), allow_pickle=False) as saved:
            if int(saved["version"]) != VERSION:
                raise StateError(f"state is of version {int(saved['version'])}, not {VERSION}")
            head = json.loads(str(saved["head"]))
            arrays = {name: saved[name] for name in saved.files}
        machines = [(str(machine), tuple(names), int(last)) for machine, names, last in head["machines"]]
        made_of = head["made_of"]
    except (ValueError, OSError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as exc:
        raise StateError(f"state cannot be read: {exc}") from exc
    if made_of != _made_of(options):
        raise StateError(f"state is of {made_of}")
    for i, (machine, names, last) in enumerate(machines):
        mine = f"{i}_"
        yield machine, names, last, {name.removeprefix(mine): array for name, array in arrays.items() if name.startswith(mine)}


def _made_of(options: RiverOptions) -> str:
    """What the saved rows depend on."""
    return json.dumps([options.steps, options.predict, options.scaling, options.smooth_rows], sort_keys=True)
