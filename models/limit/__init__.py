"""Fixed limits per tag."""

from __future__ import annotations

from gateway.contract import Detector, DetectorContext, DetectorPlugin
from models.limit.config import LimitOptions


def build(options: LimitOptions, context: DetectorContext) -> Detector:
    from models.limit.detector import Limit

    return Limit(options, context)


plugin = DetectorPlugin(name="limit", domain="limit", options=LimitOptions, build=build)
