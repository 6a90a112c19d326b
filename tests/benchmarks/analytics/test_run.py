"""Detectors run over series: through the contract, side by side, every row its score."""

from typing import ClassVar

import numpy as np
import pytest

from benchmarks.analytics.nab_scorer import Series
from benchmarks.analytics.run import Unfit, product
from gateway.contract import Batch, DetectorContext, DetectorPlugin, Finding, Frame, Item, Scores, WatchOptions


class Distance:
    """From the last value of the tag."""

    takes: ClassVar[frozenset[type]] = frozenset({Batch})

    def __init__(self, _options: WatchOptions, context: DetectorContext) -> None:
        self._last = dict.fromkeys(range(len(context.tags)), np.nan)
        self._paths = [tag.path for tag in context.tags]
        self._scores: Scores | None = None

    def show(self, scores: Scores | None) -> None:
        self._scores = scores

    def process(self, item: Item | Frame) -> list[Finding]:
        assert isinstance(item, Batch)
        for tag, t_ns, value in zip(item.tag.tolist(), item.t_ns.tolist(), item.value.tolist(), strict=True):
            if self._scores is not None and not np.isnan(self._last[tag]):
                self._scores([self._paths[tag]], np.array([t_ns]), np.array([abs(value - self._last[tag])]))
            self._last[tag] = value
        return []

    def dump(self) -> bytes:
        return b""

    def load(self, state: bytes) -> None: ...


class Rows(Distance):
    """The same of a machine's row; its path is the machine's."""

    takes: ClassVar[frozenset[type]] = frozenset({Frame})

    def process(self, item: Item | Frame) -> list[Finding]:
        assert isinstance(item, Frame)
        if self._scores is not None:
            self._scores([item.machine] * len(item.t_ns), item.t_ns, item.x[:, 0])
        return []


class Silent:
    takes: ClassVar[frozenset[type]] = frozenset({Batch})

    def __init__(self, _options: WatchOptions, _context: DetectorContext) -> None: ...

    def process(self, item: Item | Frame) -> list[Finding]:
        return []

    def dump(self) -> bytes:
        return b""

    def load(self, state: bytes) -> None: ...


def plugin(build: type) -> DetectorPlugin:
    return DetectorPlugin(name="distance", domain="anomaly", options=WatchOptions, build=build)


def walk(seed: int, rows: int) -> Series:
    rng = np.random.default_rng(seed)
    return Series(f"g/{seed}", np.cumsum(rng.integers(1, 9, rows)).astype(np.int64), rng.normal(size=rows))


def test_side_by_side_gives_what_one_by_one_gives() -> None:
    series = [walk(1, 700), walk(2, 300), walk(3, 257)]
    together = product(plugin(Distance), {}, series)
    for one, scores in zip(series, together, strict=True):
        assert scores.tolist() == np.abs(np.diff(one.value, prepend=one.value[0])).tolist()
        assert scores.tolist() == product(plugin(Distance), {}, [one])[0].tolist()


def test_a_detector_of_rows_is_given_rows() -> None:
    series = [walk(1, 300), walk(2, 20)]
    assert [scores.tolist() for scores in product(plugin(Rows), {}, series)] == [one.value.tolist() for one in series]


def test_a_detector_without_scores_is_told() -> None:
    with pytest.raises(Unfit, match="distance shows no scores"):
        product(plugin(Silent), {}, [walk(1, 10)])
