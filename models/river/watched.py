"""Which tags a model is fed with, and whether the watch can be judged at all."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.contract import ConfigError, DetectorContext
from models.river.catalogue import refuse_unknown
from models.river.config import RiverOptions
from models.river.declared import declared
from models.river.weight import refuse_too_heavy


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
    """Raises ConfigError: what cannot be judged, a model or a parameter that river does not have, one that is too heavy."""
    refuse_unusable(options, names_by_machine(context))
    if known := declared():  # else it is known when the model is built
        refuse_unknown(options.steps, known)


def refuse_unusable(options: RiverOptions, names: Mapping[str, tuple[str, ...]]) -> None:
    """Raises ConfigError when the tags of a machine do not fit to the model."""
    refuse_too_heavy(options.steps, len(names))
    for machine, tags in names.items():
        if options.predict is not None and options.predict not in tags:
            raise ConfigError(f"it is to predict {options.predict!r}, which is none of the tags of {machine}: {', '.join(tags)}")
        if options.kind == "linear_model" and len(tags) < 2:
            raise ConfigError(f"of {machine} it watches {tags[0]} alone: a regression predicts a tag from the others")
