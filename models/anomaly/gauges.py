"""Which tags have a usual band."""

from __future__ import annotations

from gateway.contract import ConfigError, DetectorContext, Tag


def gauges(context: DetectorContext) -> tuple[Tag, ...]:
    """Raises ConfigError when there is none: counters, states and waveforms have no usual band."""
    found = tuple(tag for tag in context.tags if tag.options.kind == "gauge")
    if not found:
        raise ConfigError("none of its tags is of kind: gauge")
    return found
