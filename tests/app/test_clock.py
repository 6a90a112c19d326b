"""A gateway whose clock is not trusted for long is a case; while it is, its page and its numbers say so."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

import gateway.app
from gateway import timekeeping
from gateway.clock import KeptClock, Signs


async def test_ten_minutes_without_a_clock_are_an_incident_and_the_clock_ends_it(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = False
    signs = Signs(synchronised=lambda: trusted, rtc_ns=lambda: None)
    monkeypatch.setattr(gateway.app, "KeptClock", partial(KeptClock, signs))
    monkeypatch.setattr(timekeeping, "TELL_SECONDS", 0.1)
    monkeypatch.setattr(timekeeping, "LOOK_SECONDS", 0.05)
    site.configure(lambda text: text.replace("page: {port: 0}", "page: {port: 0}, clock: {trust: ntp}"))
    async with site.run() as app:
        await site.until(lambda: [i.condition for i in app.incidents.open] == ["clock_not_trusted"])
        status = json.loads((await site.get(app, "/api/status"))[1])
        assert (status["clock"]["state"], status["clock"]["events_held"]) == ("not_yet", True)
        assert "lineside_clock_trusted 0.0" in (await site.get(app, "/metrics"))[1]
        assert site.told() == [], "held"
        trusted = True
        await site.until(lambda: "cleared" in site.told())
        (opened,) = [event for event in site.receiver.events.values() if event["type"] == "io.lineside.gateway.raised.v1"]
        assert (opened["data"]["machine"], opened["data"]["condition"]) == ("gw", "clock_not_trusted")
        assert site.told() == ["raised", "cleared"], "no leap: the clock was right, and nobody knew"
        assert "lineside_clock_trusted 1.0" in (await site.get(app, "/metrics"))[1]
