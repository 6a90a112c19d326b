"""The whole line in one process: from a PLC's register to one case at a receiver."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sqlite3
import time
from typing import Any

import pytest

from gateway.contract import ConfigError
from gateway.outbox import tally


async def test_a_limit_crossing_is_one_event_and_its_end_another(site: Any) -> None:
    async with site.run() as app:
        site.oil(75.0)
        await site.until(lambda: len(site.receiver.order) == 1)
        polls = site.plc.requests
        await site.until(lambda: site.plc.requests > polls + 20)
        assert len(site.receiver.order) == 1
        site.oil(60.0)
        await site.until(lambda: len(site.receiver.order) == 2)
        assert app.incidents.open == []
    raised, cleared = (site.receiver.events[identity] for identity in site.receiver.order)
    assert site.told() == ["raised", "cleared"]
    assert raised["correlationid"] == cleared["correlationid"]
    assert raised["subject"] == "hall/line/cell/press-07/oil_temperature"
    assert raised["data"]["asset"] == "PRESS07"
    assert raised["data"]["explanation"]["value"] == 75.0
    assert 75.0 in raised["data"]["evidence"]["readings"]["tags"]["oil_temperature"]["v"]
    assert (raised["sequence"], cleared["sequence"]) == (f"{1:020d}", f"{2:020d}")


async def test_an_incident_outlives_the_gateway(site: Any) -> None:
    site.oil(75.0)
    async with site.run():
        await site.until(lambda: site.told() == ["raised"])
    site.oil(60.0)
    async with site.run():
        await site.until(lambda: len(site.receiver.order) == 2)
    assert site.told() == ["raised", "cleared"]
    assert len({event["correlationid"] for event in site.receiver.events.values()}) == 1


async def test_an_incident_that_goes_on_is_not_told_again_after_a_restart(site: Any) -> None:
    site.oil(75.0)
    async with site.run():
        await site.until(lambda: site.told() == ["raised"])
    async with site.run() as app:
        await site.until(lambda: app.counts.total("findings") >= 1)
        assert len(app.incidents.open) == 1
    assert site.told() == ["raised"]


async def test_while_the_receiver_is_away_events_wait_and_then_come_in_order(site: Any) -> None:
    await site.receiver.stop()
    async with site.run() as app:
        for value in (75.0, 60.0, 75.0, 60.0):
            before = app.outbox.accepted
            site.oil(value)
            await site.until(lambda before=before: app.outbox.accepted > before)
        await site.receiver.start()
        await site.until(lambda: len(site.receiver.order) == 4, 15)
        assert site.receiver.repeats == 0
    assert site.told() == ["raised", "cleared", "raised", "cleared"]


async def test_lost_once_and_back_once(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lineside")

    def said(word: str) -> int:
        return sum(r.getMessage() == word and r.fields.get("source") == "press-07" for r in caplog.records if hasattr(r, "fields"))

    async with site.run() as app:
        await site.until(lambda: app.counts.total("readings") > 0)
        await site.plc.stop()
        await site.until(lambda: said("lost") == 1)
        link = app.status.links["source", "press-07"]
        await asyncio.sleep(1.0)
        assert (said("lost"), said("back"), link.state) == (1, 0, "down")
        await site.plc.start()
        await site.until(lambda: said("back") == 1)
        assert (said("lost"), said("back"), link.state) == (1, 1, "up")
    assert not [r for r in caplog.records if r.exc_info]


async def test_two_gateways_never_share_a_state_folder(site: Any) -> None:
    async with site.run():
        with pytest.raises(ConfigError, match="another gateway"):
            async with site.run():
                pass


async def test_a_corrupt_outbox_is_set_aside_and_an_event_says_so(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with site.run():
        site.oil(75.0)
        await site.until(lambda: site.told() == ["raised"])
    (site.state / "outbox.db").write_bytes(b"garbage " * 4096)
    async with site.run():
        await site.until(lambda: "outbox_replaced" in site.told())
        await site.until(lambda: len(site.receiver.order) >= 3)
    replaced = next(e for e in site.receiver.events.values() if e["type"] == "io.lineside.gateway.outbox_replaced.v1")
    assert (site.state / replaced["data"]["set_aside"]).read_bytes() == b"garbage " * 4096
    assert "outbox damaged, set aside" in [r.getMessage() for r in caplog.records]
    # The fault goes on. Its case was in the damaged file, so it is told anew, under an id nobody has seen.
    raised = [e["correlationid"] for e in site.receiver.events.values() if e["type"] == "io.lineside.limit.raised.v1"]
    assert len(set(raised)) == 2


@pytest.mark.parametrize("damage", ["body = CAST('{' AS BLOB)", "state = 'opeo'", "since_ns = since_ns + (1 << 40)"])
async def test_a_damaged_incident_is_told_and_raised_anew(site: Any, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    site.oil(75.0)
    async with site.run():
        await site.until(lambda: site.told() == ["raised"])
    db = sqlite3.connect(site.state / "outbox.db")
    with db:
        db.execute(f"UPDATE incident SET {damage}")
    db.close()
    for again in range(2):
        async with site.run() as app:
            await site.until(lambda: site.told() == ["raised", "raised"])
            assert app.counts.total("incidents_damaged") == (0 if again else 1)
            status, _ = await site.get(app, "/api/incidents")
            assert status == 200
            rows = await app.outbox.run(lambda c: c.execute("SELECT what, name, count FROM ledger WHERE what='incidents'").fetchall())
            assert rows == [("incidents", "press-07/oil_temperature_high", 1)]
    assert len({event["correlationid"] for event in site.receiver.events.values()}) == 2
    assert [r.getMessage() for r in caplog.records].count("a stored incident is damaged and set aside") == 1


class TestPage:
    async def test_status_tells_links_and_outbox(self, site: Any) -> None:
        async with site.run() as app:
            await site.until(lambda: app.status.links["source", "press-07"].state == "up")
            status, text = await site.get(app, "/api/status")
            found = json.loads(text)
        assert status == 200
        assert found["gateway"]["name"] == "gw"
        assert found["sources"][0]["state"] == "up"
        assert found["outbox"]["max_bytes"] == 512 << 20

    async def test_metrics_hold_the_conservation_laws(self, site: Any) -> None:
        async with site.run() as app:
            for value in (75.0, 60.0, 75.0):
                count = len(site.receiver.order)
                site.oil(value)
                await site.until(lambda count=count: len(site.receiver.order) > count)
            await site.until(lambda: app.counts.total("deliveries", outcome="sent") == 3)
            await asyncio.sleep(1.05)
            status, text = await site.get(app, "/metrics")
            stored = (await app.outbox.run(tally.backlog))["crm"]
        assert status == 200

        def metric(name: str) -> float:
            return sum(float(value) for value in re.findall(rf"^lineside_{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", text, re.MULTILINE))

        assert metric("outbox_stored_total") == stored["stored"] == 3
        parts = (*(f"{what}_total" for what in tally.TALLIED[1:]), *tally.WAITING)
        assert metric("outbox_stored_total") == sum(metric(f"outbox_{part}") for part in parts)
        received, waiting = metric("readings_received_total"), metric("pipeline_queue")
        assert received == metric("readings_total") + waiting + metric("readings_dropped_total") > 0
        assert metric("link_up") == 2
        assert metric("incidents_open") == 1

    async def test_health_needs_a_line_that_moves(self, site: Any) -> None:
        """A disk that refuses is told, but neither a restart nor going back to the version before would mend it."""
        async with site.run() as app:
            assert (await site.get(app, "/healthz"))[0] == 200
            await site.until(lambda: app.status.links["destination", "crm"].state == "up")
            app.outbox.condition.failed(sqlite3.OperationalError("disk I/O error"))
            status, text = await site.get(app, "/healthz")
            assert (status, json.loads(text)["outbox"]) == (200, "disk I/O error")
            app.pipeline.last_progress -= 3600
            app.pipeline.flush = lambda: False
            app.pipeline.last_progress -= 3600
            assert (await site.get(app, "/healthz"))[0] == 503
            del app.pipeline.flush


async def test_what_is_queued_at_the_stop_is_still_processed_committed_and_sent(site: Any) -> None:
    async with site.run() as app:
        await site.until(lambda: app.counts.total("readings") > 0)
        inbox = app.pipeline.inboxes["press-07"]
        inbox._wake = lambda: None
        app.pipeline._patience = lambda: 3600.0
        app.pipeline.flush = lambda: False  # also for a wake that was on its way
        site.oil(75.0)
        await site.until(lambda: any(entry.item.value[-1] == 75.0 for entry in inbox._items))
        assert app.counts.total("findings", state="active") == 0
        del app.pipeline.flush
    assert site.told() == ["raised"]


def metric(text: str, name: str, *labels: str) -> int:
    """Sum over the lines of a metric that carry all of `labels`."""
    lines = [line for line in text.splitlines() if re.match(rf"lineside_{name}[{{ ]", line)]
    return round(sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(label in line for label in labels)))


async def test_what_came_in_and_what_became_of_it_balance_in_the_metrics(site: Any) -> None:
    """Both conservation laws, with an event delivered, one parked and one that waits."""
    async with site.run() as app:
        for value, status in ((75.0, None), (60.0, 422), (75.0, 503)):
            site.receiver.status = status
            before, answered = app.outbox.accepted, site.receiver.requests
            site.oil(value)
            await site.until(lambda before=before, answered=answered: app.outbox.accepted > before and site.receiver.requests > answered)
        time.sleep(0.1)  # noqa: ASYNC251  polls that are late are no readings
        polls = site.plc.requests
        await site.until(lambda: site.plc.requests > polls + 5)
        text = ""
        async with asyncio.timeout(5):
            while (metric(text, "outbox_parked"), metric(text, "outbox_stored_total")) != (1, 3):
                text = (await site.get(app, "/metrics"))[1]
        waiting = await app.outbox.run(lambda db: db.execute("SELECT count(*) FROM delivery").fetchone()[0])
    received, queued = metric(text, "readings_received_total"), metric(text, "pipeline_queue")
    assert received > 0
    assert metric(text, "polls_skipped_total", 'source="press-07"') > 0
    assert received == metric(text, "readings_total") + metric(text, "readings_dropped_total", 'reason="queue_full"') + queued
    parts = (*(f"{what}_total" for what in tally.TALLIED[1:]), *tally.WAITING)
    became = {name: metric(text, f"outbox_{name}") for name in parts}
    assert metric(text, "outbox_stored_total") == sum(became.values()) == 3
    assert (became["delivered_total"], became["parked"], became["ready"], waiting) == (1, 1, 1, 1)
