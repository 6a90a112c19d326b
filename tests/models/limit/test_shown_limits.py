"""What the page is told of fixed limits."""

from __future__ import annotations

from gateway.testkit.contexts import detector_context
from models.limit import plugin
from models.limit.config import LimitOptions
from models.limit.detector import Limit


def test_limits_are_told_for_every_tag_of_the_watch_the_nearer_one_first() -> None:
    options = LimitOptions(on=["p/*"], high=70, high_high=85, low=5, rate=3)
    detector = Limit(options, detector_context(plugin, ["p/oil", "p/water"]))
    told = [{"name": "high", "value": 70.0}, {"name": "high_high", "value": 85.0}, {"name": "low", "value": 5.0}]
    assert detector.limits() == {"p/oil": told, "p/water": told}
