"""The state as bytes: npz without pickle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.contract import StateError
from models import npz
from models.machine.baseline import MEMBERS, TAG_COLUMNS, Baseline, Known, Waiting
from models.machine.config import MachineOptions
from models.machine.tail import Tail
from models.machine.watch import Watch

VERSION = 1
Arrays = Mapping[str, NDArray[Any]]


def dump(options: MachineOptions, watches: Mapping[str, Watch]) -> bytes:
    """Head as JSON: machines with their states and the alarm; arrays named by number of machine and of state."""
    arrays: dict[str, NDArray[Any]] = {}
    machines = []
    for i, (machine, watch) in enumerate(watches.items()):
        machines.append([machine, list(watch.names), _head(watch)])
        for j, baseline in enumerate(watch.baselines.values()):
            arrays |= {f"{i}_{j}_{name}": array for name, array in _arrays(baseline).items()}
    return npz.dump(VERSION, {npz.HEAD: npz.text({"made_of": _made_of(options), "machines": machines}), **arrays})


def _made_of(options: MachineOptions) -> list[Any]:
    """What the saved numbers depend on."""
    return [options.smooth, options.state]


def _head(watch: Watch) -> dict[str, Any]:
    alarm = watch.alarm
    times = [watch.last_ns, watch.entered_ns, alarm.since_ns, alarm.started_ns, alarm.quiet_until_ns]
    return {
        "states": list(watch.baselines),
        "state": None if np.isnan(watch.state) else watch.state,
        "left_out": watch.left_out,
        "active": alarm.active,
        "times": times,
        "seconds": [alarm.above, alarm.calm_for],
        "began": list(alarm.began),
    }


def _arrays(baseline: Baseline) -> dict[str, NDArray[Any]]:
    known = baseline.known
    rows = [np.concatenate([row.x, row.deviation, _five(row.rarities), [row.seconds, row.alarm]]) for row in baseline.queue]
    return {
        "tags": np.array([*(getattr(baseline, name) for name in TAG_COLUMNS), *known[1:]]),
        "pairs": np.array([baseline.covariance, baseline.weight, known.correlation]),
        "recent": baseline.recent,
        "tails": np.array([(tail.looks, tail.beyond, tail.excess) for tail in baseline.tails]),
        "queue": np.array(rows, dtype=np.float64).reshape(len(rows), 2 * baseline.k + _REST),
        "numbers": np.array([baseline.queued, baseline.waited, baseline.calm, baseline.known_for], dtype=np.float64),
    }


_REST = MEMBERS + 3  # rarities with their sum, seconds, alarm


def _five(rarities: tuple[float, ...]) -> tuple[float, ...]:
    return rarities or (np.nan,) * (MEMBERS + 1)


def read(options: MachineOptions, saved: bytes) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any], Arrays]]:
    """(machine, tags, head, arrays) of each machine; raises StateError when the state does not fit."""
    arrays = npz.load(saved, VERSION)
    with npz.readable():
        head = npz.value(arrays[npz.HEAD])
        machines = [(str(machine), tuple(names), dict(mine)) for machine, names, mine in head["machines"]]
        made_of = head["made_of"]
    if made_of != _made_of(options):
        raise StateError(f"state is of smooth and state {made_of}")
    for i, (machine, names, mine) in enumerate(machines):
        yield machine, names, mine, npz.under(f"{i}_", arrays)


def restore(watch: Watch, head: Mapping[str, Any], arrays: Arrays) -> None:
    """Raises KeyError, ValueError, TypeError or IndexError when it does not fit."""
    alarm, k = watch.alarm, len(watch.names)
    watch.state = float("nan") if head["state"] is None else float(head["state"])
    watch.left_out, alarm.active = int(head["left_out"]), bool(head["active"])
    watch.last_ns, watch.entered_ns, alarm.since_ns, alarm.started_ns, alarm.quiet_until_ns = (int(t) for t in head["times"])
    alarm.above, alarm.calm_for = (float(s) for s in head["seconds"])
    alarm.began.extend(int(t) for t in head["began"])
    for j, value in enumerate(head["states"]):
        baseline = Baseline(k, watch.options.smooth, watch.options.memory)
        watch.baselines[float(value)] = baseline
        _restore(baseline, {name: arrays[f"{j}_{name}"] for name in _SHAPES})


_SHAPES = ("tags", "pairs", "recent", "tails", "queue", "numbers")


def _restore(baseline: Baseline, arrays: Arrays) -> None:
    k, n = baseline.k, len(TAG_COLUMNS)
    shapes = ((n + 3, k), (3, k, k), (2, k), (MEMBERS + 1, 3), (len(arrays["queue"]), 2 * k + _REST), (4,))
    for name, shape in zip(_SHAPES, shapes, strict=True):
        if arrays[name].dtype != np.float64 or arrays[name].shape != shape:
            raise ValueError(f"{name} is {arrays[name].dtype}{list(arrays[name].shape)}")
    for name, column in zip(TAG_COLUMNS, arrays["tags"], strict=False):
        setattr(baseline, name, column.copy())
    baseline.covariance, baseline.weight, correlation = (matrix.copy() for matrix in arrays["pairs"])
    baseline.known = Known(correlation, *(column.copy() for column in arrays["tags"][n:]))
    baseline.recent = arrays["recent"].copy()
    baseline.tails = [Tail(*row) for row in arrays["tails"].tolist()]
    for row in arrays["queue"]:
        rarities = tuple(row[2 * k : -2].tolist())
        seconds, alarm = float(row[-2]), bool(row[-1])
        baseline.queue.append(Waiting(row[:k], row[k : 2 * k], () if np.isnan(rarities[0]) else rarities, seconds, alarm))
    baseline.queued, baseline.waited = (float(number) for number in arrays["numbers"][:2])
    baseline.calm, baseline.known_for = bool(arrays["numbers"][2]), int(arrays["numbers"][3])
