"""Any streaming model of the river library, one per machine."""

from __future__ import annotations

from gateway.contract import Detector, DetectorContext, DetectorPlugin
from models.river.config import RiverOptions


def build(options: RiverOptions, context: DetectorContext) -> Detector:
    from models.river.detector import River

    return River(options, context)


def check(options: RiverOptions, context: DetectorContext) -> None:
    from models.river import watched

    watched.check(options, context)


def tells(options: RiverOptions, context: DetectorContext, condition: str) -> bool:
    from models.river import watched

    return condition == options.condition and bool(watched.names_by_machine(context))


plugin = DetectorPlugin(
    name="river", domain="anomaly", options=RiverOptions, build=build, slow=True, check=check, needs=("river",), tells=tells
)
