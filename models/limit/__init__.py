"""Fixed limits per tag."""

from __future__ import annotations

from gateway.contract import ConfigError, Detector, DetectorContext, DetectorPlugin
from models.limit.config import LimitOptions


def build(options: LimitOptions, context: DetectorContext) -> Detector:
    from models.limit.detector import Limit

    return Limit(options, context)


def check(_options: LimitOptions, context: DetectorContext) -> None:
    if all(tag.options.kind == "waveform" for tag in context.tags):
        raise ConfigError("none of its tags has single values: a limit judges no waveform and no record")


def tells(options: LimitOptions, context: DetectorContext, condition: str) -> bool:
    name, _, side = condition.rpartition("_")
    return side in options.sides and any(tag.name == name and tag.options.kind != "waveform" for tag in context.tags)


plugin = DetectorPlugin(name="limit", domain="limit", options=LimitOptions, build=build, check=check, tells=tells)
