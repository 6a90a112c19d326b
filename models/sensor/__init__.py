"""Sensors that cannot be believed: bad, out of range, stuck, quiet, coarse, spiking, missing, with times that go back."""

from __future__ import annotations

from gateway.contract import Detector, DetectorContext, DetectorPlugin
from models.sensor.config import SensorOptions


def build(options: SensorOptions, context: DetectorContext) -> Detector:
    from models.sensor.detector import Sensor

    return Sensor(options, context)


def check(options: SensorOptions, context: DetectorContext) -> None:
    from models.sensor.tags import watched

    watched(context)


def tells(_options: SensorOptions, context: DetectorContext, condition: str) -> bool:
    from models.sensor.tags import CLOCK, may_have

    return condition == CLOCK or may_have(context.tags, condition)


plugin = DetectorPlugin(name="sensor", domain="sensor", options=SensorOptions, build=build, check=check, everything=True, tells=tells)
