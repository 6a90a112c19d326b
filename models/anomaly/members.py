"""The bank without some of its members: to measure what each is worth."""

from __future__ import annotations

from collections.abc import Collection

from gateway.contract import Detector, DetectorContext
from models.anomaly.config import AnomalyOptions
from models.anomaly.detector import Anomaly
from models.anomaly.settings import MEMBERS, WEIGHTS

NAMES = MEMBERS


def build(options: AnomalyOptions, context: DetectorContext, without: Collection[str] = ()) -> Detector:
    """Raises ValueError for a member that there is none of."""
    if unknown := set(without) - set(NAMES):
        raise ValueError(f"no such member: {', '.join(sorted(unknown))}")
    return Anomaly(options, context, tuple(0.0 if name in without else weight for name, weight in zip(NAMES, WEIGHTS, strict=True)))
