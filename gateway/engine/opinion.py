"""On what of a machine a watch has an opinion: it will tell the end of that, and nobody else would."""

from __future__ import annotations

from dataclasses import replace

from gateway.config.settings import WatchSettings
from gateway.contract import ConfigError, DetectorContext


class Opinion:
    """By what it watches of a machine, as if there were no other one. That is looked for once: thousands of incidents may be open."""

    def __init__(self, watch: WatchSettings, context: DetectorContext) -> None:
        self._watch, self._context = watch, context
        self._of: dict[str, DetectorContext] = {}

    def __call__(self, machine: str, condition: str) -> bool:
        if machine not in self._of:
            self._of[machine] = self._alone(machine)
        try:
            return self._watch.plugin.tells(self._watch.options, self._of[machine], condition)
        except ConfigError:
            return False  # of this machine there is nothing that it could look at

    def _alone(self, machine: str) -> DetectorContext:
        tags = tuple(tag for tag in self._context.tags if tag.machine == machine)
        records = tuple(record for record in self._context.records if record.machine == machine)
        return replace(self._context, tags=tags, records=records)
