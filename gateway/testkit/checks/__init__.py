"""Batteries: what every source, detector and uplink must do, as named functions over a rig.

`source_checks.CHECKS`, `detector_checks.CHECKS` and `uplink_checks.CHECKS` are tuples of functions that take a rig
(`gateway.testkit.rigs`) and raise AssertionError with a sentence. A rig may leave a check out with
``exempt = {"name of the check": "why"}``; the reason must stand in the plugin's README.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def exemptions(rig: Any, checks: tuple[Callable[..., Any], ...], without_peer: frozenset[str] = frozenset()) -> dict[str, str]:
    """Check name to reason, for a rig or its class; raises AssertionError for a name that is no check."""
    exempt: dict[str, str] = dict(getattr(rig, "exempt", {}))
    known = {check.__name__ for check in checks}
    assert exempt.keys() <= known, f"exempt names no check: {sorted(exempt.keys() - known)}; there are {sorted(known)}"
    if not getattr(rig, "can_be_dead", True):
        exempt = dict.fromkeys(without_peer, "has no peer that could be lost") | exempt
    return exempt
