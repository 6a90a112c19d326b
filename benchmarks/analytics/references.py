"""What one would take instead of ours: two that know nothing, a control chart, and river's as they come."""

from __future__ import annotations

import numpy as np

from benchmarks.analytics.nab_scorer import Floats, Series
from benchmarks.analytics.run import Named, reference

SEED = 42
EWMA_WEIGHT = 0.002  # the better of the two that are usual for five-minute data


def always(series: Series) -> Floats:
    """An alarm at every row."""
    return np.ones(len(series.value))


def random(series: Series) -> Floats:
    """Uniform; the same each time, another one for each series."""
    return np.random.default_rng([SEED, *series.name.encode()]).random(len(series.value))


def ewma(series: Series) -> Floats:
    """|value - level| / deviation, both exponentially weighted; scored before learnt."""
    score, level, variance = np.zeros(len(series.value)), float(series.value[0]), 0.0
    for row, value in enumerate(series.value.tolist()):
        off = value - level
        score[row] = abs(off) / variance**0.5 if variance > 0 else 0.0
        level += EWMA_WEIGHT * off
        variance = (1 - EWMA_WEIGHT) * (variance + EWMA_WEIGHT * off * off)
    return score


def gaussian(series: Series) -> Floats:
    """river.anomaly.GaussianScorer with its defaults."""
    from river import anomaly

    model, score = anomaly.GaussianScorer(), np.zeros(len(series.value))
    for row, value in enumerate(series.value.tolist()):
        score[row] = model.score_one(None, value)
        model.learn_one(None, value)
    return score


def half_space_trees(series: Series) -> Floats:
    """river.anomaly.HalfSpaceTrees, 25 trees of height 8 on the value scaled to its range so far."""
    from river import anomaly, preprocessing

    scale, model = preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=SEED)
    score = np.zeros(len(series.value))
    for row, value in enumerate(series.value.tolist()):
        raw = {"value": value}
        scale.learn_one(raw)
        scaled = scale.transform_one(raw)
        score[row] = model.score_one(scaled)
        model.learn_one(scaled)
    return score


ALL: tuple[Named, ...] = (
    reference("always", always),
    reference("random", random),
    reference("ewma_z", ewma),
    reference("river_gaussian_scorer", gaussian),
    reference("river_half_space_trees", half_space_trees),
)
