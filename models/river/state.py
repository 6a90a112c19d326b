"""The state as bytes: npz without pickle. River's own pickles are code, and break between its versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from gateway.contract import Json, StateError
from models import npz
from models.river.config import RiverOptions
from models.river.member import Arrays, Member

VERSION = 2


def dump(options: RiverOptions, members: Mapping[str, tuple[int, Member]]) -> bytes:
    """Of each machine: time of its last row, and its member's arrays."""
    head: dict[str, Json] = {
        "made_of": _made_of(options),
        "machines": [[machine, list(member.names), last] for machine, (last, member) in members.items()],
    }
    arrays = {f"{i}_{name}": array for i, (_, member) in enumerate(members.values()) for name, array in member.arrays().items()}
    return npz.dump(VERSION, {npz.HEAD: npz.text(head), **arrays})


def read(options: RiverOptions, state: bytes) -> Iterator[tuple[str, tuple[str, ...], int, Arrays]]:
    """(machine, tags, time of the last row, arrays) of each machine; raises StateError when the state does not fit."""
    arrays = npz.load(state, VERSION)
    with npz.readable():
        head = npz.value(arrays[npz.HEAD])
        machines = [(str(machine), tuple(names), int(last)) for machine, names, last in head["machines"]]
        made_of = head["made_of"]
    if made_of != _made_of(options):
        raise StateError(f"state is of {made_of}")
    for i, (machine, names, last) in enumerate(machines):
        yield machine, names, last, npz.under(f"{i}_", arrays)


def _made_of(options: RiverOptions) -> str:
    """What the saved rows depend on."""
    return json.dumps([options.steps, options.predict, options.scaling, options.smooth_rows], sort_keys=True)
