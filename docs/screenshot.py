"""Makes docs/page.png: runs the demo and photographs the gateway's page while the bearing's case is open.

``python docs/screenshot.py [FILE]`` needs the extra [dev] and Chromium (Debian package ``chromium``).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

SECONDS = 240
WIDTH, HEIGHT = 1600, 1000
SETTLE_MS = 40_000


@contextmanager
def demo() -> Iterator[str]:
    """The page's address, as soon as the case is in the inbox."""
    with tempfile.TemporaryDirectory(prefix="lineside-picture-") as folder:
        main = "from gateway.cli import main; main()"
        command = [sys.executable, "-u", "-c", main, "demo", "--seconds", str(SECONDS), "--folder", f"{folder}/run", "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  ourselves
        try:
            yield _page(process)
        finally:
            process.terminate()
            process.communicate()


def _page(process: subprocess.Popen[str]) -> str:
    address = ""
    for line in process.stdout or ():
        if found := re.search(r"page: (\S+)", line):
            address = found[1]
        if "One case" in line:
            return address
    raise SystemExit("the demo ended before there was a case")


def photograph(address: str, file: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(address)
        page.get_by_text("spectrum attached").wait_for(timeout=30_000)
        page.wait_for_timeout(SETTLE_MS)  # some history for the strips
        page.screenshot(path=file, full_page=True)
        browser.close()


if __name__ == "__main__":
    with demo() as address:
        photograph(address, Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("page.png"))
