"""Vibration severity after ISO 20816-3, and rolling-bearing diagnosis by envelope spectrum."""

from __future__ import annotations

from gateway.contract import Detector, DetectorContext, DetectorPlugin
from models.vibration.config import VibrationOptions


def build(options: VibrationOptions, context: DetectorContext) -> Detector:
    from models.vibration.detector import Vibration

    return Vibration(options, context)


def check(options: VibrationOptions, context: DetectorContext) -> None:
    from models.vibration.mounting import mountings

    mountings(options, context)


def tells(options: VibrationOptions, context: DetectorContext, condition: str) -> bool:
    from models.vibration.mounting import conditions

    return condition in conditions(options, context)


plugin = DetectorPlugin(
    name="vibration", domain="vibration", options=VibrationOptions, build=build, slow=True, check=check, needs=("scipy",), tells=tells
)
