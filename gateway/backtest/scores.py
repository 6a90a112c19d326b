"""Every score a run gave, by watch and channel: some sixteen bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

from gateway.backtest.recording import Series
from gateway.contract import Scores


class ScoreBook:
    """A channel is ``machine/tag``, or a machine."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[array[int], array[float]]] = {}

    def __len__(self) -> int:
        return sum(len(times) for times, _ in self._kept.values())

    def of(self, watch: str) -> Scores:
        """The taker of a watch's scores."""

        def take(paths: Sequence[str], t_ns: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
            for path, at, score in zip(paths, t_ns.tolist(), scores.tolist(), strict=True):
                times, values = self._kept.setdefault((watch, path), (array("q"), array("d")))
                times.append(at)
                values.append(score)

        return take

    def series(self, watch: str, path: str) -> Series | None:
        """Times and scores, in the order they were given; None: there are none."""
        kept = self._kept.get((watch, path))
        return None if kept is None else (np.array(kept[0], dtype=np.int64), np.array(kept[1]))

    def write(self, file: IO[str]) -> int:
        """``time,watch,tag,score``, one channel after the other; how many."""
        file.write("time,watch,tag,score\n")
        count = 0
        for watch, path in self._kept:
            for line in self._lines(watch, path):
                file.write(line)
                count += 1
        return count

    def _lines(self, watch: str, path: str) -> Iterator[str]:
        times, scores = self._kept[watch, path]
        t_ns = np.array(times, dtype=np.int64)
        unit: Literal["s", "ns"] = "ns" if (t_ns % 10**9).any() else "s"
        stamps = np.datetime_as_string(t_ns.view("datetime64[ns]"), unit=unit)
        for stamp, score in zip(stamps.tolist(), scores, strict=True):
            yield f"{stamp}Z,{watch},{path},{score:.6g}\n"
