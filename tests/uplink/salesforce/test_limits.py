"""Two allowances become one number: the tightest; what may not be seen is not asked for again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.contract import Usage
from gateway.testkit.clock import FakeClock
from gateway.testkit.servers.salesforce import Salesforce
from gateway.uplink.https.config import HttpsOptions
from gateway.uplink.https.limits import EVERY_SECONDS, Limits, usage_of
from gateway.uplink.https.link import Link

PATH = "/services/data/v66.0/limits"


@pytest.fixture
async def link(line: Any) -> AsyncIterator[Link]:
    found = Link(HttpsOptions.model_validate(line.options()), line.context())
    await found.open()
    yield found
    await found.close()


def asked(org: Salesforce) -> int:
    return len([path for _, path in org.calls if path == PATH])


async def test_the_tightest_is_told_and_asked_for_once_in_a_quarter_of_an_hour(org: Salesforce, link: Link) -> None:
    clock, told = FakeClock(), list[Usage]()
    limits = Limits(link.get_json, told.append, clock, PATH)
    org.limits.use_up_events(org.now(), left=50_000)
    for _ in range(5):
        await limits.ask()
    assert told == [Usage(200_000, 250_000)]
    limits.told(Usage(10, 100_000))
    assert told[-1] == Usage(200_000, 250_000)
    limits.told(Usage(99_000, 100_000))
    assert told[-1] == Usage(99_000, 100_000)
    assert asked(org) == 1
    await clock.advance(EVERY_SECONDS)
    await limits.ask()
    assert asked(org) == 2


async def test_events_of_the_hour_are_forgotten_with_it(org: Salesforce, link: Link) -> None:
    clock, told = FakeClock(), list[Usage]()
    limits = Limits(link.get_json, told.append, clock, PATH)
    org.limits.use_up_events(org.now())
    await limits.ask()
    await clock.advance(3600)
    limits.told(Usage(10, 100_000))
    assert told[-1] == Usage(10, 100_000)


async def test_limits_that_may_not_be_seen_are_asked_for_again_the_next_day(org: Salesforce, link: Link) -> None:
    clock, told = FakeClock(), list[Usage]()
    org.limits.may_see = False
    limits = Limits(link.get_json, told.append, clock, PATH)
    for _ in range(10):
        await limits.ask()
        await clock.advance(EVERY_SECONDS)
    assert (asked(org), told) == (1, [])
    limits.told(Usage(1, 2))
    assert told == [Usage(1, 2)]


async def test_an_org_that_is_away_breaks_nothing(org: Salesforce, link: Link) -> None:
    await org.stop()
    await Limits(link.get_json, list[Usage]().append, FakeClock(), PATH).ask()


@pytest.mark.parametrize("said", [None, [], {}, {"DailyApiRequests": 5}, {"DailyApiRequests": {"Max": 0, "Remaining": 0}}])
def test_nonsense_is_nothing(said: Any) -> None:
    assert usage_of(said, "DailyApiRequests") is None
