"""A board without a clock of its own: it boots in 1970, and somebody tells it the time later."""

from __future__ import annotations

import signal
from itertools import pairwise
from typing import Any

import pytest

from gateway.events.build import to_ns

pytestmark = pytest.mark.timeout(180)  # daemons on a machine that does much else


async def test_what_was_stamped_before_the_clock_was_right_arrives_with_its_true_time(gateway: Any) -> None:
    gateway.in_1970()
    await gateway.start()
    before = await gateway.until_status(lambda found: "clock not trusted yet" in found["destinations"][0]["why"])
    assert before["clock"]["state"] == "not_yet"
    assert before["destinations"][0]["breaker"] == "closed", "the receiver has done nothing wrong"
    await gateway.faults(2)
    (machine,) = await gateway.get("machines")
    assert machine["tags"][0]["quality"] == "clock"
    opened = [incident["id"] for incident in await gateway.get("incidents?limit=10")]
    assert gateway.arrived == []

    gateway.wall(0, synchronised=True)
    await gateway.until(lambda: len(gateway.of("raised", "cleared")) == 4)
    after = await gateway.until_status(lambda found: found["outbox"]["events"] == 0)
    assert (after["clock"]["state"], after["clock"]["by"], after["clock"]["events_corrected"]) == ("trusted", "ntp", 4)
    for event in gateway.of("raised", "cleared"):
        data = event["data"]
        times = [event["time"], event["recordedtime"], data["since"], data["raised"], *([data["cleared"]] if "cleared" in data else [])]
        assert all(0 <= gateway.age_seconds(text) < 60 for text in times), event
        if "evidence" in data:
            assert abs(data["evidence"]["readings"]["from_ns"] - to_ns(data["since"])) <= 5 * 10**9
        assert "timequality" not in event
    sequence = [event["sequence"] for event in gateway.arrived]
    assert sequence == sorted(set(sequence))
    assert gateway.receiver.repeats == 0
    assert {event["data"]["incident"] for event in gateway.of("raised")} == set(opened), "an id once given stays"
    (told,) = gateway.of("clock_set")
    assert told["data"]["corrected"] == 4
    kept = {incident["id"]: incident for incident in await gateway.get("incidents?limit=10")}
    assert all(kept[name]["raised"] > 1.7e9 for name in opened), "the page shows them at their time"


@pytest.mark.long  # in this process: tests/clock/test_kept.py, the daemon started again in the same boot
async def test_killed_before_the_clock_was_right_it_goes_on_in_the_same_boot(gateway: Any) -> None:
    gateway.in_1970()
    await gateway.start()
    await gateway.faults(1)
    await gateway.end(signal.SIGKILL)
    gateway.log.write_text("")
    await gateway.start()
    assert (await gateway.status())["clock"]["state"] == "not_yet"
    await gateway.faults(1)
    gateway.wall(0, synchronised=True)
    await gateway.until(lambda: len(gateway.of("raised", "cleared")) == 4)
    events = gateway.of("raised", "cleared")
    assert all(0 <= gateway.age_seconds(event[name]) < 60 for event in events for name in ("time", "recordedtime"))
    assert all(a["recordedtime"] < b["recordedtime"] for a, b in pairwise(events))
    assert not any("timequality" in event for event in events)


@pytest.mark.long  # in this process: tests/outbox/test_correct.py
async def test_an_event_that_waited_too_long_goes_as_it_is_and_says_so(plain: Any) -> None:
    plain.configure("3s")
    plain.in_1970()
    await plain.start()
    await plain.faults(1)
    await plain.until(lambda: len(plain.arrived) == 2, 40)
    assert all(event["timequality"] == "unconfirmed" for event in plain.arrived)
    await plain.faults(1)
    plain.wall(0, synchronised=True)
    await plain.until(lambda: len(plain.of("raised", "cleared")) == 4)
    early, late = plain.arrived[:2], plain.of("raised", "cleared")[2:]
    assert all("timequality" not in event and plain.age_seconds(event["time"]) < 60 for event in late)
    assert {event["id"] for event in early}.isdisjoint(event["id"] for event in late)
    assert plain.receiver.repeats == 0, "what may have been sent is not sent again with another time"
