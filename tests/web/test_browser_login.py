"""The login in a real browser: a hostile banner, a wrong password, the page, a session that is locked, logging out."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
from playwright.async_api import async_playwright, expect

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
PASSWORD = "correct horse battery"
PATIENCE_MS = 20_000


async def test_from_the_login_to_a_locked_screen(guarded: Any) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("chromium is not installed")
    guarded.login.banner = f"Staff only. {HOSTILE}"
    said: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = await browser.new_page(viewport={"width": 1200, "height": 800})
        tab.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        await tab.goto(guarded.url)
        await expect(tab.locator("#banner")).to_have_text(f"Staff only. {HOSTILE}")
        await expect(tab.locator("#user")).to_be_focused()
        assert "dresden" not in await tab.content()
        await tab.fill("#user", "operator")
        await tab.fill("#password", "a wrong password")
        await tab.keyboard.press("Enter")
        await expect(tab.locator("#refused")).to_have_text("User or password is wrong.")
        await expect(tab.locator("#password")).to_have_value("")
        await tab.fill("#password", PASSWORD)
        await tab.click("#submit")
        await expect(tab.locator("#me-name")).to_have_text("operator · operator")
        await expect(tab.locator("#cards")).to_contain_text("71.25 °C")
        assert await tab.evaluate("document.cookie") == ""

        await guarded.clock.advance(1000)
        await tab.wait_for_url("**/login?why=idle")
        await expect(tab.locator("#why")).to_contain_text("Locked")
        await expect(tab.locator("#user")).to_have_value("operator")
        await expect(tab.locator("#password")).to_be_focused()
        assert "71.25" not in await tab.content()
        await tab.go_back()
        assert "71.25" not in await tab.content()

        await tab.goto(guarded.url + "/login?why=idle")
        await tab.fill("#password", PASSWORD)
        await tab.click("#submit")
        await tab.route("**/api/logout", lambda route: route.abort("aborted"))
        async with tab.expect_event("requestfailed"):
            await tab.click("#logout")
        await tab.unroute("**/api/logout")
        await tab.click("#logout")  # it was not logged out, and did not say so
        await expect(tab.locator("#why")).to_have_text("You are logged out.")
        await tab.goto(guarded.url)
        await tab.wait_for_url("**/login")
        assert await tab.locator("img").count() == 0
        assert "owned" not in await tab.title()
        await browser.close()
    assert [text for text in said if "401" not in text and "ERR_ABORTED" not in text] == []
    assert len(guarded.sessions) == 0
