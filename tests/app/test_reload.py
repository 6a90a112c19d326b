"""SIGHUP: validate, change only what changed; a bad file changes nothing."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.contract import ConfigError
from gateway.outbox import tally
from gateway.outbox.audit import newest

STREAMING = "  - river: {on: press-07/oil_temperature, model: anomaly.HalfSpaceTrees}\n"


async def test_a_new_limit_holds_and_the_connection_stays(site: Any) -> None:
    site.oil(75.0)
    site.configure(high=90.0)
    async with site.run() as app:
        await site.until(lambda: app.counts.total("readings") > 3)
        source = app.edges.sources["press-07"]
        sender = app.edges.senders["crm"]
        connected = set(site.plc._writers)
        site.configure(high=70.0)
        assert await app.reload()
        await site.until(lambda: site.told() == ["raised"])
        assert app.edges.sources["press-07"] is source
        assert app.edges.senders["crm"] is sender
        assert site.plc._writers == connected


async def test_a_file_whose_name_is_no_utf8_is_reloaded_and_audited(site: Any) -> None:
    named = Path(os.fsdecode(os.fsencode(site.folder) + b"/M\xfcller.yaml"))
    site.file.rename(named)
    site.file = named
    site.state.mkdir()
    (site.state / "audit.pending").write_text(json.dumps([2**70, "eva", "token added", "t", "", ""]) + "\n")
    async with site.run() as app:
        site.configure(high=50.0)
        assert await app.reload()
        await site.until(lambda: not app.trail._waiting)
        assert not app.trail.failing
        (line,) = [each for each in await app.outbox.look(lambda connection: newest(connection, 10)) if each.what == "configuration loaded"]
        assert line.name.endswith("/M\\udcfcller.yaml")


async def test_a_contact_that_was_changed_is_shown_from_then_on(site: Any) -> None:
    """RFC 9116: its file has an end and is written anew each year."""
    contact = site.folder / "security.txt"
    contact.write_text("Contact: mailto:a@plant.example\n")
    site.configure(lambda text: text.replace("page: {port: 0}", "page: {port: 0, security_txt: security.txt}"))
    async with site.run() as app:
        port = app.page_port
        assert (await site.get(app, "/.well-known/security.txt"))[1] == "Contact: mailto:a@plant.example\n"
        contact.write_text("Contact: mailto:b@plant.example\n")
        assert await app.reload()
        assert (await site.get(app, "/.well-known/security.txt"))[1] == "Contact: mailto:b@plant.example\n"
        assert app.page_port == port


async def test_a_new_limit_judges_what_a_source_that_tells_only_changes_has_told_last(site: Any) -> None:
    """It has nothing new to tell, and the case is over all the same; and the other way round."""

    def mes(limit: float) -> None:
        source = "  mes: {source: {http: ingest, token: {secret: mes}}, tags: {oee: {}}}\n"
        watch = f"watch:\n  - limit: {{name: oee, on: mes/oee, high: {limit}, hold: 0s, clear_after: 0s}}\n"
        site.configure(lambda text: text.replace("watch:\n", source + watch, 1))

    site.secret("mes", "first-4711")
    mes(70.0)
    async with site.run() as app:
        await site.until(lambda: "mes" in app.edges.sources and app.edges.sources["mes"][2].state == "up")
        async with aiohttp.ClientSession() as session:
            url, login = f"http://127.0.0.1:{app.page_port}/ingest/mes", {"Authorization": "Bearer first-4711"}
            (await session.post(url, json={"oee": 75.0}, headers=login)).raise_for_status()
        await site.until(lambda: site.told() == ["raised"])
        mes(90.0)
        assert await app.reload()
        await site.until(lambda: site.told() == ["raised", "cleared"])
        mes(60.0)
        assert await app.reload()
        await site.until(lambda: site.told() == ["raised", "cleared", "raised"])


async def test_what_was_told_last_is_not_judged_when_the_tag_has_another_scale_now(site: Any) -> None:
    """It is in the unit of before: five bar are no five millibar."""

    def mes(scale: int) -> None:
        source = f"  mes: {{source: {{http: ingest, token: {{secret: mes}}}}, tags: {{supply: {{scale: {scale}}}}}}}\n"
        watch = f"watch:\n  - limit: {{name: supply, on: mes/supply, low: {2 * scale}, hold: 0s, clear_after: 0s}}\n"
        site.configure(lambda text: text.replace("watch:\n", source + watch, 1))

    site.secret("mes", "first-4711")
    mes(1)
    async with site.run() as app, aiohttp.ClientSession() as session:

        async def post(value: float) -> None:
            await site.until(lambda: "mes" in app.edges.sources and app.edges.sources["mes"][2].state == "up")
            url, login = f"http://127.0.0.1:{app.page_port}/ingest/mes", {"Authorization": "Bearer first-4711"}
            (await session.post(url, json={"supply": value}, headers=login)).raise_for_status()
            await site.until(lambda: value * app.pipeline.line.table.scale[-1] == app.pipeline.line.table.last_value[-1])

        await post(5.0)
        mes(1000)
        assert await app.reload()
        assert app.incidents.open == []
        await post(1.0)
        await site.until(lambda: site.told() == ["raised"])


async def test_a_secret_that_was_changed_is_used_from_then_on(site: Any) -> None:
    """The file names it as before: who has the old token gets in no longer, who has the new one does."""
    secrets = {name: site.folder / "secrets" / name for name in ("mes", "crm")}
    (site.folder / "secrets").mkdir()

    def put(value: str) -> None:
        for path in secrets.values():
            path.write_text(value)
            path.chmod(0o600)

    async def post(app: Any, token: str) -> int:
        url, login = f"http://127.0.0.1:{app.page_port}/ingest/mes", {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession() as session, session.post(url, json={"oee": 1}, headers=login) as answer:
            return int(answer.status)

    mes = "  mes: {source: {http: ingest, token: {secret: mes}}, tags: {oee: {}}}\nwatch:"
    put("first-4711")
    site.configure(lambda text: text.replace("watch:", mes, 1).replace("mode: batch", "token: {secret: crm}, mode: batch"))
    async with site.run() as app:
        await site.until(lambda: app.counts.total("readings") > 0 and app.edges.sources["mes"][2].state == "up")
        before = dict(app.edges.sources)
        assert [await post(app, "first-4711"), await post(app, "second-4711")] == [202, 401]
        put("second-4711")
        site.receiver._token = "second-4711"
        assert await app.reload()
        await site.until(lambda: app.edges.sources["mes"][2].state == "up")
        assert [await post(app, "first-4711"), await post(app, "second-4711")] == [401, 202]
        assert app.edges.sources["press-07"] is before["press-07"]
        site.oil(75.0)
        await site.until(lambda: site.told() == ["raised"])
        senders = dict(app.edges.senders)
        assert await app.reload()
        assert app.edges.senders == senders


async def test_a_login_that_was_put_right_is_tried_at_once(site: Any) -> None:
    """What the receiver refused was the old one: the new one need not wait for that."""
    secret = site.secret("crm", "wrong-4711")
    site.receiver._token = "right-4711"
    site.configure(lambda text: text.replace("mode: batch", "token: {secret: crm}, mode: batch"))
    site.oil(75.0)
    async with site.run() as app:
        await site.until(lambda: app.edges.senders["crm"][3].breaker.holding)
        assert await app.reload()
        assert app.edges.senders["crm"][3].breaker.holding, "nothing was changed"
        secret.write_text("right-4711")
        assert await app.reload()
        await site.until(lambda: site.told() == ["raised"])


async def test_the_reserve_follows(site: Any) -> None:
    async with site.run() as app:
        for megabytes in (3, 1, 0, 2):
            site.configure(lambda text: re.sub("  buffer: .*\n", "", text))
            site.configure(lambda text: text.replace("deliver:\n", f"deliver:\n  buffer: {{reserve_megabytes: {megabytes}}}\n"))  # noqa: B023
            assert await app.reload()
            await site.until(lambda: app.outbox.reserve.held == megabytes << 20)  # noqa: B023


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("high: 70.0", "low: 10.0"),
        ("high: 70.0}\n  - limit: {on: press-07/oil_temperature, rate: 1000", "rate: 1000"),
    ],
)
async def test_a_limit_that_is_taken_away_ends_its_incident(site: Any, before: str, after: str) -> None:
    """Also when another limit of the tag is left: it has no opinion on what this one found."""
    site.oil(75.0)
    site.configure(lambda text: text.replace("high: 70.0", before))
    async with site.run() as app:
        await site.until(lambda: "raised" in site.told())
        site.configure(lambda text: text.replace("high: 70.0", after))
        assert await app.reload()
        await site.until(lambda: "cleared" in site.told())
        (ended,) = [one["data"] for one in site.receiver.events.values() if one["data"]["state"] == "cleared"]
        assert ended["condition"] == "oil_temperature_high"
        assert "does not watch" in ended["explanation"]["ended"]


@pytest.mark.parametrize("how", ["reload", "restart"])
async def test_who_got_the_opening_of_an_incident_gets_its_end_though_it_wants_less_now(site: Any, how: str) -> None:
    def only_critical(text: str) -> str:
        return text.replace("mode: batch", 'mode: batch, when: {severity: ">=critical"}')

    async with site.run() as app:
        site.oil(75.0)
        await site.until(lambda: site.told() == ["raised"])
        if how == "reload":
            site.configure(only_critical)
            assert await app.reload()
            site.oil(20.0)
            await site.until(lambda: site.told() == ["raised", "cleared"])
    if how == "restart":
        site.configure(only_critical)
        async with site.run():
            site.oil(20.0)
            await site.until(lambda: site.told() == ["raised", "cleared"])
    assert site.told() == ["raised", "cleared"]


async def test_a_destination_that_gets_or_loses_a_fallback_begins_again(site: Any) -> None:
    """What is leased must be marked as tried first, from when another one may take it over."""
    async with site.run() as app:
        await site.until(lambda: app.counts.total("readings") > 0)
        senders = [app.edges.senders["crm"][3]]
        backup = '\n  backup: {https: "https://127.0.0.1:9/", fallback_for: crm}\ngateway:'
        for change in (lambda text: text.replace("\ngateway:", backup), lambda text: text):
            site.configure(change)
            assert await app.reload()
            senders.append(app.edges.senders["crm"][3])
        assert [sender.has_fallback for sender in senders] == [False, True, False]
        site.oil(75.0)
        await site.until(lambda: site.told() == ["raised"])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("high: 70.0", "hihg: 70.0"),
        lambda text: "version: [",
        lambda text: text.replace("gateway: gw", "gateway: other"),
        lambda text: text.replace("/state", "/elsewhere"),
    ],
)
async def test_a_bad_file_is_refused_and_everything_runs_on(site: Any, systemd: Any, caplog: pytest.LogCaptureFixture, change: Any) -> None:
    async with site.run() as app:
        await site.until(lambda: app.counts.total("readings") > 0)
        before = app.settings, app.pipeline.line, app.edges.sources["press-07"]
        site.configure(change)
        assert not await app.reload()
        assert (app.settings, app.pipeline.line, app.edges.sources["press-07"]) == before
        assert any("reload refused" in line for line in systemd.listen())
        site.oil(75.0)
        await site.until(lambda: site.told() == ["raised"])
    assert "reload refused" in [record.getMessage() for record in caplog.records]


async def test_a_slow_detector_that_cannot_be_built_is_refused_and_everything_runs_on(
    site: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is built beside the line, but before the new configuration takes its place."""

    def cannot(options: Any, context: Any) -> None:
        raise ConfigError(f"watch {context.name}: no such model on this machine")

    monkeypatch.setattr("models.river.detector.River", cannot)
    async with site.run() as app:
        await site.until(lambda: app.counts.total("readings") > 0)
        before = app.settings, app.pipeline.line
        site.configure(lambda text: text.replace("watch:\n", "watch:\n" + STREAMING))
        assert not await app.reload()
        assert (app.settings, app.pipeline.line) == before
        site.oil(75.0)
        await site.until(lambda: site.told() == ["raised"])
    refused = [record.fields["why"] for record in caplog.records if record.getMessage() == "reload refused"]
    assert refused == ["watch river-1: no such model on this machine"]


async def test_what_is_read_while_a_slow_detector_is_built_is_not_forgotten(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.river.detector import River

    site.oil(50.0)
    taken: list[float] = []
    async with site.run() as app:
        await site.until(lambda: app.pipeline.line.table.last_value[0] == 50.0)
        old, start = app.pipeline.line, app.lanes.start

        def slowly(options: Any, context: Any) -> River:
            site.oil(60.0)
            deadline = time.monotonic() + 5
            while old.table.last_value[0] != 60.0 and time.monotonic() < deadline:
                time.sleep(0.005)
            return River(options, context)

        async def taking_over(watches: Any) -> None:
            taken.append(float(app.pipeline.line.table.last_value[0]))
            await start(watches)

        monkeypatch.setattr("models.river.detector.River", slowly)
        monkeypatch.setattr(app.lanes, "start", taking_over)
        site.configure(lambda text: text.replace("watch:\n", "watch:\n" + STREAMING))
        assert await app.reload()
        assert app.pipeline.line.watches[0].detector is not None
    assert taken == [60.0]


async def test_each_problem_of_a_bad_file_is_a_line_of_the_log(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with site.run() as app:
        site.configure(lambda text: text.replace("high: 70.0", "hihg: 70.0").replace("version: 1", "version: 2"))
        assert not await app.reload()
    told = [record.fields["why"] for record in caplog.records if record.getMessage() == "reload refused"]
    assert len(told) == 2
    assert "version: must be 1, got 2" in told[0]
    assert "did you mean 'high'?" in told[1]
    assert not any("\n" in why for why in told)


async def test_a_source_that_changed_is_connected_anew_and_its_tags_keep_their_values(site: Any) -> None:
    site.oil(50.0)
    async with site.run() as app:
        await site.until(lambda: app.counts.total("readings") > 3)
        source = app.edges.sources["press-07"]
        site.configure(lambda text: text.replace("poll_seconds: 0.02", "poll_seconds: 0.03"))
        assert await app.reload()
        assert app.edges.sources["press-07"] is not source
        assert app.pipeline.line.table.last_value[0] == 50.0
        before = app.counts.total("readings")
        await site.until(lambda: app.counts.total("readings") > before + 3)
        assert list(app.pipeline.inboxes) == ["press-07"]


async def test_a_watch_that_is_gone_ends_its_incident(site: Any) -> None:
    site.oil(75.0)
    async with site.run() as app:
        await site.until(lambda: site.told() == ["raised"])
        site.configure(lambda text: text.replace("  - limit: {on: press-07/oil_temperature, high: 70.0, hysteresis: 2}\n", "  []\n"))
        assert await app.reload()
        await site.until(lambda: site.told() == ["raised", "cleared"])


async def test_caps_levels_and_page_follow(site: Any) -> None:
    async with site.run() as app:
        port = app.page_port
        site.configure(
            lambda text: (
                text.replace("deliver:\n", "deliver:\n  buffer: {max_megabytes: 70, keep_events_days: 3}\n")
                .replace("page: {port: 0}", "page: off, log_level: error")
                .replace("evidence: {before: 5s, after: 0s}", "evidence: {before: 5s, after: 9s}")
            )
        )
        assert await app.reload()
        assert (app.outbox.max_bytes, app.outbox.keep_days) == (70 << 20, 3)
        assert app.incidents.evidence_seconds == 9.0
        with pytest.raises(OSError, match=str(port)):
            await site.get(app, "/healthz")
        site.configure(lambda text: text.replace("log_level: error", "log_level: info"))
        assert await app.reload()
        assert (await site.get(app, "/healthz"))[0] == 200


async def test_a_destination_that_comes_later_gets_what_comes_later(site: Any) -> None:
    line = f'  crm: {{https: "{site.receiver.url}", mode: batch, timeout: 2s}}\n'
    site.configure(lambda text: text.replace("deliver:\n" + line, ""))
    site.oil(75.0)
    async with site.run() as app:
        await site.until(lambda: len(app.incidents.open) == 1)
        assert app.counts.total("events_unaddressed") == 1
        site.configure()
        assert await app.reload()
        site.oil(60.0)
        await site.until(lambda: site.told() == ["cleared"])


async def test_events_of_a_destination_that_was_renamed_are_told(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    await site.receiver.stop()
    async with site.run() as app:
        site.oil(75.0)
        await site.until(lambda: app.outbox.accepted > 0)
        site.configure(lambda text: text.replace("  crm: {https", "  salesforce: {https"))
        assert await app.reload()
        told = [record for record in caplog.records if record.getMessage() == "events wait for a destination that is not configured"]
        assert [record.fields["remedy"] for record in told] == ["lineside outbox move crm NEW"]  # type: ignore[attr-defined]
        assert json.loads((await site.get(app, "/api/status"))[1])["outbox"]["orphaned"] == {"crm": 1}
        assert await app.outbox.look(tally.configured) == ["salesforce"]  # so that `lineside dlq retry` promises nothing
