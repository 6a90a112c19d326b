"""Several tags of a machine together, per operating state."""

from __future__ import annotations

from gateway.contract import Detector, DetectorContext, DetectorPlugin
from models.machine.config import MachineOptions


def build(options: MachineOptions, context: DetectorContext) -> Detector:
    from models.machine.detector import MachineDetector

    return MachineDetector(options, context)


def check(options: MachineOptions, context: DetectorContext) -> None:
    from models.machine import watched

    watched.tags_by_machine(options, context)


def tells(options: MachineOptions, context: DetectorContext, condition: str) -> bool:
    from models.machine import watched
    from models.machine.telling import CONDITION

    return condition == CONDITION and bool(watched.tags_by_machine(options, context))


plugin = DetectorPlugin(name="machine", domain="anomaly", options=MachineOptions, build=build, check=check, tells=tells)
