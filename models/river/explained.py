"""Why a row is unusual, in the units of its tags."""

from __future__ import annotations

import numpy as np

from gateway.contract import Json
from models.river.member import Floats
from models.river.scaling import Scaling
from models.river.scorer import Scorer


def explained(names: tuple[str, ...], x: Floats, scaling: Scaling, scorer: Scorer) -> tuple[tuple[str, ...], dict[str, Json]]:
    """(tags, the farthest off first; values, standard deviations and, of a model that expects values, these and the usual errors)."""
    deviations, strengths, expected = scaling.deviations(x), scorer.strengths(), scorer.expected()
    order = np.argsort(-(np.abs(deviations) if strengths is None else strengths), kind="stable").tolist()
    told: dict[str, Json] = {
        "values": {names[i]: float(x[i]) for i in order},
        "standard_deviations": {names[i]: float(deviations[i]) for i in order},
    }
    if expected is not None and strengths is not None:
        usual = scaling.unscaled(expected)
        known = [i for i in order if np.isfinite(usual[i])]
        told["expected"] = {names[i]: float(usual[i]) for i in known}
        told["times_the_usual_error"] = {names[i]: float(strengths[i]) for i in known}
    return tuple(names[i] for i in order), told


def title(machine: str, tags: tuple[str, ...], model: str, *, active: bool, accepted: bool) -> str:
    """One line for the service engineer."""
    if accepted:
        return f"{machine}: {model} accepts this as usual and learns anew"
    if not active:
        return f"{machine}: {model} finds nothing unusual"
    return f"{machine}: {', '.join(tags[:3])} not as usual, says {model}"
