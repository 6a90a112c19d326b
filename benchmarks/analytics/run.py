"""Runs detectors over series: ours through the product's contract, and what one would take instead."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from benchmarks.analytics.nab_scorer import Floats, Series
from gateway import registry
from gateway.contract import Batch, Detector, DetectorContext, DetectorPlugin, Frame, Machine, Scoring, Tag

Build = Callable[[Any, DetectorContext], Detector]
Reference = Callable[[Series], Floats]
T = TypeVar("T")

TAG = "value"
ROWS = 256  # of each series at a time


class Unfit(Exception):
    """This detector cannot be measured this way; says why."""


@dataclass(frozen=True)
class Named:
    """A detector under the name it has in the tables."""

    name: str
    run: Callable[[Sequence[Series]], list[Floats]]


def ours(name: str, options: dict[str, Any] | None = None, *, build: Build | None = None, label: str = "") -> Named:
    """A detector of the product with its default options, or these. `build` replaces the plugin's. Raises Unfit."""
    try:
        plugin = registry.detector(name)
    except KeyError:
        raise Unfit(f"no detector {name!r}; there are {', '.join(registry.names('detectors'))}") from None
    return Named(label or name, lambda series: product(plugin, options or {}, series, build=build))


def reference(name: str, score: Reference) -> Named:
    return Named(name, lambda series: [score(one) for one in watched(series, name)])


def product(plugin: DetectorPlugin, options: dict[str, Any], series: Sequence[Series], *, build: Build | None = None) -> list[Floats]:
    """Every row's score, 0 where the detector gave none. Each series is the one tag of a machine of its own; all run side by side,
    each with its own times, which must give what one after the other would."""
    detector = (build or plugin.build)(plugin.options.model_validate({"on": "*/*", **options}), _context(plugin.name, len(series)))
    if not isinstance(detector, Scoring):
        raise Unfit(f"{plugin.name} shows no scores: it lacks `show` (gateway/contract/learning.py)")
    scores = [np.zeros(len(one.value)) for one in series]
    row_at = [_first_rows(one.t_ns) for one in series]

    def shown(paths: Sequence[str], t_ns: NDArray[np.int64], score: Floats) -> None:
        for path, at, value in zip(paths, t_ns.tolist(), score.tolist(), strict=True):
            number = int(path.partition("/")[0][1:])
            scores[number][row_at[number][at]] = value

    detector.show(shown)
    longest = max(len(one.value) for one in series)
    for start in watched(range(0, longest, ROWS), plugin.name, longest // ROWS + 1):
        for item in _items(series, start, Batch in detector.takes):
            detector.process(item)
    return scores


def watched(what: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    """With a progress bar, if somebody is there to see it."""
    with Progress(transient=True, disable=not sys.stderr.isatty()) as bar:
        yield from bar.track(what, total=total, description=title)


def _context(name: str, count: int) -> DetectorContext:
    machines = [f"s{number}" for number in range(count)]
    return DetectorContext(
        name=name,
        tags=tuple(Tag(number, machine, TAG) for number, machine in enumerate(machines)),
        machines={machine: Machine(name=machine) for machine in machines},
        timezone=ZoneInfo("UTC"),
    )


def _first_rows(t_ns: NDArray[np.int64]) -> dict[int, int]:
    """A time that is there twice is its first row's."""
    return {at: row for row, at in reversed(list(enumerate(t_ns.tolist())))}


def _items(series: Sequence[Series], start: int, as_batch: bool) -> Iterator[Batch | Frame]:
    """Rows `start` to `start + ROWS` of all series: one Batch, the n-th rows of all beside each other; or a Frame of each."""
    stop = start + ROWS
    if not as_batch:
        for number, one in enumerate(series):
            if start < len(one.value):
                tags = np.array([number], dtype=np.int32)
                yield Frame(machine=f"s{number}", names=(TAG,), tags=tags, t_ns=one.t_ns[start:stop], x=one.value[start:stop, None])
        return
    counts = [max(0, min(len(one.value), stop) - start) for one in series]
    row = np.concatenate([np.arange(count) for count in counts])
    order = np.argsort(row, kind="stable")
    tag = np.repeat(np.arange(len(series)), counts)
    t_ns = np.concatenate([one.t_ns[start:stop] for one in series])
    value = np.concatenate([one.value[start:stop] for one in series])
    yield Batch.of(tag[order], t_ns[order], value[order])
