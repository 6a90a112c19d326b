"""Which tags a model is fed with, and whether the watch can be judged at all."""

from __future__ import annotations

from gateway.contract import ConfigError, DetectorContext
from models.river.catalogue import refuse_unknown
from models.river.config import RiverOptions
from models.river.declared import declared


def names_by_machine(context: DetectorContext) -> dict[str, tuple[str, ...]]:
    """Tags that have one value at a time; raises ConfigError when there is none."""
    names: dict[str, tuple[str, ...]] = {}
    for tag in context.tags:
        if tag.options.kind != "waveform":
            names[tag.machine] = (*names.get(tag.machine, ()), tag.name)
    if not names:
        raise ConfigError("all of its tags are waveforms" if context.tags else "it watches no tag")
    return names


def check(options: RiverOptions, context: DetectorContext) -> None:
    """Raises ConfigError: no tag with single values, a model or a parameter that river does not have."""
    names_by_machine(context)
    if known := declared():  # else it is known when the model is built
        refuse_unknown(options.model, options.parameters, known)
