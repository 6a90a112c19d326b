"""From an unknown device to a hand-over: plan, tail, commission, write, and one incident for a device that is gone."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main


async def command(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, list(arguments))


async def test_commission_reads_every_tag_once_and_writes_the_hand_over(site: Any, tmp_path: Path) -> None:
    site.oil(55.5)
    report = tmp_path / "out.html"
    result = await command("commission", str(site.file), "--report", str(report), "--wait", "5")
    assert result.exit_code == 0, result.output
    assert "ok    press-07: connected; 1 of 1 tags" in result.output
    page = report.read_text(encoding="utf-8")
    assert "Everything is as it should be." in page
    assert re.search(r"oil_temperature</td><td class=\"n\">55\.5</td><td>degC</td><td>good</td>", page)
    assert "<script" not in page
    assert "http" not in page


async def test_commission_says_what_is_wrong_with_a_tag(site: Any, tmp_path: Path) -> None:
    site.oil(1e9)
    site.configure(lambda text: text.replace("unit: degC", "range: [-20, 150]"))
    report = tmp_path / "out.html"
    result = await command("commission", str(site.file), "--report", str(report), "--wait", "1")
    assert result.exit_code == 1
    assert (
        "fault press-07/oil_temperature: range; outside of -20 to 150; is the byte order, scale or address right?; no unit" in result.output
    )
    assert "1 faults were found" in report.read_text(encoding="utf-8")


async def test_commission_says_that_a_device_is_not_there(site: Any) -> None:
    await site.plc.stop()
    result = await command("commission", str(site.file), "--wait", "1")
    assert result.exit_code == 1
    assert "fault press-07: " in result.output
    assert "connection refused" in result.output


async def test_commission_names_a_report_it_cannot_write(site: Any, tmp_path: Path) -> None:
    result = await command("commission", str(site.file), "--report", str(tmp_path / "none/out.html"), "--wait", "1")
    assert result.exit_code == 1
    assert "none/out.html cannot be written: No such file or directory" in result.output


async def test_tail_shows_what_matches_with_quality_and_age(site: Any) -> None:
    async with site.run() as app:
        site.oil(61.25)
        url = f"http://127.0.0.1:{app.page_port}"
        await site.until(lambda: app.pipeline.line.table.last_value[0] == 61.25)
        result = await command("tail", "press-*/oil*", "--url", url, "--count", "2", "--every", "0.1")
        assert result.exit_code == 0, result.output
        path, value, unit, quality, age = result.output.splitlines()[0].split("\t")
        assert (path, value, unit, quality) == ("press-07/oil_temperature", "61.25", "degC", "good")
        assert age.endswith(" s")
        none = await command("tail", "nothing/*", "--url", url, "--count", "1")
        assert (none.exit_code, none.output.strip()) == (1, "no tag matches nothing/*")


async def test_tail_says_that_no_gateway_answers() -> None:
    result = await command("tail", "--url", "http://127.0.0.1:9", "--count", "1")
    assert result.exit_code == 1
    assert "no gateway answers at http://127.0.0.1:9" in result.output


async def test_a_tag_that_is_not_writable_is_not_written(site: Any) -> None:
    result = await command("write", str(site.file), "press-07/oil_temperature", "5", "--yes")
    assert result.exit_code == 1
    assert "press-07/oil_temperature is not writable" in result.output
    unknown = await command("write", str(site.file), "press-07/oil", "5", "--yes")
    assert "there is no tag 'press-07/oil'" in unknown.output


async def test_a_refused_write_is_in_the_audit(site: Any) -> None:
    async with site.run() as app:
        await site.until(lambda: app.counts.total("readings") > 0)
        result = await command("write", str(site.file), "press-07/oil_temperature", "5", "--yes", "--by", "eva")
        assert result.exit_code == 1
        query = "SELECT who, name, before, after FROM audit WHERE what='write'"
        ((who, name, before, after),) = await app.outbox.run(lambda connection: connection.execute(query).fetchall())
        assert (who, name, after) == ("eva", "press-07/oil_temperature", "5")
        assert before.startswith("refused: press-07/oil_temperature is not writable")


async def test_a_device_that_is_gone_is_one_incident_that_says_why(site: Any) -> None:
    site.configure(lambda text: text.replace("timeout: 500ms", "timeout: 500ms, lost_after: 1s"))
    async with site.run() as app:
        await site.until(lambda: app.counts.total("readings") > 0)
        await site.plc.stop()
        await site.until(lambda: len(site.receiver.order) == 1)
        (incident,) = app.incidents.open
        assert (incident.machine, incident.condition, incident.domain) == ("press-07", "device_lost", "device")
    event = site.receiver.events[site.receiver.order[0]]
    assert event["type"] == "io.lineside.device.raised.v1"
    assert "connection refused" in event["data"]["title"]
    assert event["data"]["explanation"]["trouble"] == "lost"


async def test_skew_is_shown(site: Any) -> None:
    async with site.run() as app:
        await site.until(lambda: app.counts.total("readings") > 0)
        status = json.loads((await site.get(app, "/api/status"))[1])
        assert status["sources"][0]["skew_seconds"] == pytest.approx(0.0, abs=1.0)
        assert "lineside_source_clock_skew_seconds" in (await site.get(app, "/metrics"))[1]
