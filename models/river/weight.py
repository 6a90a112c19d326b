"""What a model weighs, as far as its parameters say it: a gateway has no room for the half-space trees of the paper."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.contract import ConfigError
from models.river.config import Step

MOST_MEGABYTES = 128
"""All machines of a watch together."""
_NODE_BYTES = 230
"""Of a half-space tree in river 0.26: 25 trees of height 15 are 1.6 million nodes and 368 MB."""


def refuse_too_heavy(steps: Sequence[Step], machines: int) -> None:
    """Raises ConfigError; half-space trees only, the others keep no more than a window of rows."""
    name, parameters = steps[-1]
    trees, height = parameters.get("n_trees", 10), parameters.get("height", 8)
    if name != "anomaly.HalfSpaceTrees" or not (isinstance(trees, int) and isinstance(height, int)):
        return
    megabytes = trees * 2.0 ** (min(height, 64) + 1) * _NODE_BYTES * machines / 1e6
    if megabytes > MOST_MEGABYTES:
        of = f" on {machines} machines" if machines > 1 else ""
        raise ConfigError(
            f"{trees} trees of height {height}{of} need {megabytes:,.0f} MB, and {MOST_MEGABYTES} MB is the most: every level less of "
            f"height is half of it, and river's own default is 10 trees of height 8"
        )
