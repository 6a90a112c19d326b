"""On what of a machine a watch has an opinion: it will tell the end of that, and nobody else would."""

from __future__ import annotations

from dataclasses import replace

from gateway.config.settings import WatchSettings
from gateway.contract import ConfigError, DetectorContext


def has_opinion(watch: WatchSettings, context: DetectorContext, machine: str, condition: str) -> bool:
    """By what it watches of this machine, as if there were no other one."""
    tags = tuple(tag for tag in context.tags if tag.machine == machine)
    records = tuple(record for record in context.records if record.machine == machine)
    try:
        return watch.plugin.tells(watch.options, replace(context, tags=tags, records=records), condition)
    except ConfigError:
        return False  # of this machine there is nothing that it could look at
