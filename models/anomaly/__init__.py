"""Tags that leave their usual band, learnt per tag."""

from __future__ import annotations

from gateway.contract import Detector, DetectorContext, DetectorPlugin
from models.anomaly.config import AnomalyOptions


def build(options: AnomalyOptions, context: DetectorContext) -> Detector:
    from models.anomaly.detector import Anomaly

    return Anomaly(options, context)


def check(options: AnomalyOptions, context: DetectorContext) -> None:
    from models.anomaly.gauges import gauges

    gauges(context)


def tells(_options: AnomalyOptions, context: DetectorContext, told: str) -> bool:
    from models.anomaly.gauges import gauges
    from models.anomaly.words import condition

    return told in map(condition, gauges(context))


plugin = DetectorPlugin(name="anomaly", domain="anomaly", options=AnomalyOptions, build=build, check=check, tells=tells)
