"""The page in a real browser: values, plots, incidents with hostile names, the inbox, and a gateway that goes away."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright, expect

from gateway.demo.window import INBOX, Window
from gateway.web import PageServer

CASE = {
    "incident": "inc-aaaaaaaaaaaaaaaa",
    "title": "<b>Outer race</b> of pump-3",
    "severity": "error",
    "state": "open",
    "machine": "pump-3",
}
CASE |= {
    "asset": "02i5e0000000PUMP3",
    "opened": "2026-07-01T10:00:00.123456789Z",
    "closed": None,
    "events": 3,
    "spectrum": True,
    "pictured": True,
}
PATIENCE_MS = 10_000


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        await browser.close()


@pytest.fixture
async def window(page: str) -> AsyncIterator[str]:
    """The demo's address: the page, and beside it a CRM with one case."""

    async def cases(_: web.Request) -> web.Response:
        return web.json_response([CASE | {"updated": time.time()}])

    app = web.Application()
    app.add_routes([web.get("/cases", cases)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        window = Window(session, page, f"http://127.0.0.1:{runner.addresses[0][1]}")
        yield await window.start(0)
        await window.stop()
    await runner.cleanup()


class Complaints(list[str]):
    """What the console said that it should not have."""

    def of(self, page: Page) -> None:
        page.on("console", lambda message: self.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("dialog", lambda dialog: self.append(dialog.message))


async def test_page_shows_values_plots_incidents_and_inbox(browser: Browser, window: str, view: Any) -> None:
    tab = await browser.new_page(viewport={"width": 1440, "height": 1400})
    tab.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    complaints = Complaints()
    complaints.of(tab)
    await tab.goto(f"{window}/?inbox={INBOX}")

    press = tab.locator("article.card", has_text="press-07")
    await expect(press).to_contain_text("71.25 °C")
    await expect(press).to_contain_text("above high 70")
    await expect(press).to_contain_text("bad: stuck")
    await expect(press).to_contain_text("time is the gateway's")
    await expect(press.locator("[data-quality]")).to_have_count(1)
    await expect(press.locator("canvas")).to_have_count(4)
    pump = tab.locator("#cards article.card", has_text="pump-3")
    await expect(pump).to_contain_text("mqtt: connection refused, for ")
    await expect(pump).to_contain_text("2 min 11 s old")
    await expect(tab.locator("#spectrum-cards canvas")).to_have_count(1)
    assert await ink(tab, "#spectrum-cards canvas") > 500

    await expect(tab.locator("#vitals")).to_contain_text("plant away")
    await expect(tab.locator("#delivery")).to_contain_text("breaker open")
    await expect(tab.locator("#delivery")).to_contain_text("88 delivered  ·  12 waiting  ·  1 parked  ·  2 lost")
    await expect(tab.locator("#inbox-rows")).to_contain_text("<b>Outer race</b> of pump-3")
    await expect(tab.locator("#inbox-rows")).to_contain_text("spectrum attached")
    await expect(tab.locator("#inbox-rows a")).to_have_attribute("href", f"{INBOX}/cases/{CASE['incident']}/picture.svg")

    watches = tab.locator("#watches")
    await expect(tab.locator("#watches-count")).to_have_text("1 learning  ·  1 shelved")
    await expect(watches).to_contain_text("3 of 12 tags not known yet, the slowest at 42 %")
    await expect(watches).to_contain_text("would have raised 4 incidents in a week, 1 now  ·  blackout of pump-3")
    await expect(watches.locator("#shelf-rows")).to_contain_text("by Eva: <i>pump</i> is replaced  ·  1 alarm of it now")
    await expect(watches).not_to_contain_text("limit-1")

    row = tab.locator("#incident-rows .row").first
    await expect(row).to_contain_text(view.title)
    await row.click()
    detail = tab.locator("#detail")
    await expect(detail.locator("h2")).to_have_text(view.title)
    await expect(detail).to_contain_text("iso · zone")
    await expect(detail.get_by_text("BPFO: 107.4 Hz, order 3.585\n2xBPFO: 214.8 Hz", exact=True)).to_be_visible()
    await expect(detail.locator("canvas")).to_have_count(4)
    await expect(detail.locator("figure")).to_contain_text(["envelope spectrum", "waveform", "velocity trend"])
    for number in range(4):
        assert await ink(tab, f"#detail figure:nth-of-type({number + 1}) canvas") > 500
    if where := os.environ.get("SCREENSHOTS"):
        await tab.screenshot(path=f"{where}/incident.png", full_page=True)
    await tab.keyboard.press("Escape")
    await expect(detail).to_be_hidden()

    assert await tab.locator("img").count() == 0
    assert await tab.title() == "(1) dresden-press-01"
    assert complaints == []
    await tab.close()


async def test_page_follows_says_when_nobody_answers_and_recovers(browser: Browser, view: Any) -> None:
    server = PageServer(view, "127.0.0.1", 0)
    port = await server.start()
    tab = await browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    tab.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    await tab.goto(f"http://127.0.0.1:{port}/?inbox=http://evil.example/")
    await expect(tab.locator("#cards")).to_contain_text("71.25")
    await expect(tab.locator("#inbox")).to_be_hidden()
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 390
    await tab.evaluate("document.querySelector('#cards article').dataset.kept = 'yes'")

    await server.stop()
    await expect(tab.locator("#lost")).to_contain_text(
        re.compile(r"No answer from the gateway for \d+ s. What you see is of \d\d:\d\d:\d\d")
    )
    await expect(tab.locator("#cards")).to_contain_text("71.25")

    view.title = "Inner race of pump-3"
    server = PageServer(view, "127.0.0.1", port)
    await server.start()
    await expect(tab.locator("#incident-rows")).to_contain_text("Inner race")
    await expect(tab.locator("#lost")).to_be_hidden()
    assert await tab.locator("#cards article").first.get_attribute("data-kept") == "yes"
    assert len([since for machine, since in view.asked if since == 0]) <= 2
    await tab.close()
    await server.stop()


async def ink(tab: Page, selector: str) -> int:
    """How many pixels of a canvas are drawn."""
    count: int = await tab.locator(selector).first.evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 === 3 && v > 0).length"
    )
    return count


async def test_page_says_when_nothing_is_stored_and_what_the_disk_bears(browser: Browser, page: str, view: Any) -> None:
    tab = await browser.new_page()
    await tab.goto(page)
    await expect(tab.locator("#footer")).to_contain_text("a day to the disk, which bears it 9 years", timeout=PATIENCE_MS)
    view.disk = "failing"
    await expect(tab.locator("#outbox")).to_contain_text("Nothing new is stored: disk I/O error; replace the disk", timeout=PATIENCE_MS)
    assert await tab.locator("[data-vital=outbox]").get_attribute("data-level") == "error"
    await expect(tab.locator("#footer")).not_to_contain_text("audit")
    view.security = {"audit": "line 7 is missing", "listens": "127.0.0.1", "wanted": "0.0.0.0"}
    await expect(tab.locator("#footer")).to_contain_text("the audit is not sound: line 7 is missing", timeout=PATIENCE_MS)
    await expect(tab.locator("#footer")).to_contain_text("listens on 127.0.0.1 only: nobody could log in")


async def test_nothing_is_wider_than_a_small_phone(browser: Browser, page: str, view: Any) -> None:
    told, name = view.status, "a" * 63

    def crowded() -> Any:
        found = told()
        sources = [found["sources"][0] | {"name": f"{name}{i}"} for i in range(30)] + found["sources"]
        destinations = [found["destinations"][0], found["destinations"][1] | {"name": name}]
        return found | {"sources": sources, "destinations": destinations}

    view.status, view.title = crowded, name * 2
    tab = await browser.new_page(viewport={"width": 320, "height": 640})
    await tab.goto(page)
    await expect(tab.locator("#vitals")).to_contain_text(f"{name} away", timeout=PATIENCE_MS)
    await expect(tab.locator("#incident-rows")).to_contain_text(view.title, timeout=PATIENCE_MS)
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 320


async def test_what_waits_for_a_destination_that_was_removed_stands_beside_the_others(browser: Browser, page: str, view: Any) -> None:
    view.orphaned = {"old-crm": 6}
    tab = await browser.new_page()
    await tab.goto(page)
    row = tab.locator("#destinations li", has_text="old-crm")
    await expect(row).to_contain_text("removed", timeout=PATIENCE_MS)
    await expect(row).to_contain_text("6 waiting")
    await expect(row).to_contain_text("lineside outbox move old-crm NEW")
    view.orphaned = {}
    await expect(row).to_have_count(0, timeout=PATIENCE_MS)


async def test_a_large_number_has_room_beside_its_plot_and_at_its_axis(browser: Browser, page: str, view: Any) -> None:
    told = view.machines

    def counted() -> Any:
        press, pump = told()
        return [press | {"tags": [*press["tags"][:3], press["tags"][3] | {"value": 123_457_399, "unit": "1"}]}, pump]

    view.machines = counted
    tab = await browser.new_page(viewport={"width": 1440, "height": 1000})
    await tab.goto(page)
    row = tab.locator("#cards .tags li", has_text="strokes")
    await expect(row).to_contain_text("123\u202f457\u202f399", timeout=PATIENCE_MS)
    await expect(row.locator("canvas")).to_be_visible(timeout=PATIENCE_MS)
    reading, plot = await row.locator(".unit").bounding_box(), await row.locator(".plot").bounding_box()
    assert reading is not None
    assert plot is not None
    assert reading["x"] + reading["width"] <= plot["x"]
    tick = "async splits => { const { tick } = await import('/static/plots.js'); return splits.map((v) => tick(v, splits)); }"
    assert await tab.evaluate(tick, [0, 5e7, 1e8]) == ["0", "5.0e7", "1.0e8"]
    assert await tab.evaluate(tick, [123_400_000, 123_500_000]) == ["1.234e8", "1.235e8"]
    assert await tab.evaluate(tick, [-0.5, 0, 0.5]) == ["\u22120.5", "0.0", "0.5"]


async def test_of_more_open_incidents_than_the_list_has_all_are_counted(browser: Browser, page: str, view: Any) -> None:
    told, (_, one) = view.status, await view.incidents(2)

    async def many(limit: int) -> Any:
        return [one | {"id": f"inc-{number:016d}"} for number in range(limit)]

    view.incidents, view.status = many, lambda: told() | {"incidents": {"open": 150, "flood": True}}
    tab = await browser.new_page()
    await tab.goto(page)
    await expect(tab.locator("#incidents-count")).to_have_text("150 open, the latest 100 here", timeout=PATIENCE_MS)
    await expect(tab.locator("#incident-rows .row")).to_have_count(100)
    await expect(tab.locator("#vitals")).to_contain_text("150 open, alarm flood")
