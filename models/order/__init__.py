"""Order steps from an MES or ERP: milestones, and orders that stand still."""

from __future__ import annotations

from gateway.contract import ConfigError, Detector, DetectorContext, DetectorPlugin
from models.order.config import OrderOptions


def build(options: OrderOptions, context: DetectorContext) -> Detector:
    from models.order.detector import Order

    return Order(options, context)


def check(_options: OrderOptions, context: DetectorContext) -> None:
    if not context.records:
        raise ConfigError("it watches no record: order steps are records of a machine, not tags")


def tells(options: OrderOptions, _context: DetectorContext, condition: str) -> bool:
    return options.late_after is not None if condition.endswith("_late") else options.unreadable == "tell"


plugin = DetectorPlugin(name="order", domain="order", options=OrderOptions, build=build, check=check, tells=tells)
