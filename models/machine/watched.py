"""Which tags are looked at together."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.contract import ConfigError, DetectorContext
from models.machine.config import MachineOptions

MOST = 64
"""Tags of one machine: a row costs their square."""


def tags_by_machine(options: MachineOptions, context: DetectorContext) -> Mapping[str, tuple[str, ...]]:
    """Gauges of each machine, in the order of the tag table, without the state tag.

    Raises ConfigError: no machine has two gauges, one has too many, or `state` is not among a machine's tags.
    """
    all_of: dict[str, list[str]] = {}
    gauges: dict[str, list[str]] = {}
    for tag in context.tags:
        all_of.setdefault(tag.machine, []).append(tag.name)
        if tag.options.kind == "gauge" and tag.name != options.state:
            gauges.setdefault(tag.machine, []).append(tag.name)
    found = {machine: tuple(names) for machine, names in gauges.items() if len(names) > 1}
    if not found:
        raise ConfigError("none of its machines has two tags of kind: gauge; a single tag is for the detector anomaly")
    for machine, names in found.items():
        if len(names) > MOST:
            raise ConfigError(f"{machine} has {len(names)} gauges, at most {MOST} are looked at together; name fewer in on")
        if options.state and options.state not in all_of[machine]:
            raise ConfigError(f"state: {options.state} is not among the tags of {machine} that on names")
    return found
