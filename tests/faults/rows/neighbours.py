"""Rows in which a part misbehaves beside the others: a driver of somebody else, a busy machine, a long time."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from rig.plant import Plant
from rig.resources import resident_mb
from rig.run import Run, until
from rig.table import row

DRIVER = Path(__file__).parents[1] / "rig" / "faulty_driver.py"


@row(
    6,
    "a driver of somebody else that raises, loops for ever, ends its process, eats memory",
    expected="only its own source stops, and is tried again; the gateway runs on; an order is at the CRM within 5 s meanwhile; "
    "less than 600 MB",
    limit=600,
)
async def bad_driver(run: Run) -> None:
    async with Plant(run) as plant:
        plant.daemon.env["PYTHONPATH"] = f"{package(run.folder)}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        for what in ("raises", "loops", "ends", "eats"):
            plant.config["machines"][f"bad-{what}"] = {"source": {"faulty": what}, "tags": {"x": {}}}
        plant.daemon.watchdog = 30.0
        await plant.start()
        await asyncio.sleep(2)  # ten readings later
        worst = 0.0
        for _ in range(20):
            if not plant.daemon.alive:
                break
            began = time.monotonic()
            await plant.recovered(5, since=began)
            worst = max(worst, time.monotonic() - began)
            await asyncio.sleep(0.5)
        run.check(not await plant.keep_running(), "the gateway ended")
        sources = (await plant.daemon.status())["sources"]
        run.note(slowest_seconds=round(worst, 2))
        run.check(plant.daemon.peaks.rss_mb < 600, f"took {plant.daemon.peaks.rss_mb:.0f} MB")
        up = _state(sources, "press")
        run.check(up == "up", f"the PLC's source is {up}")
        await plant.settle()


def _state(sources: object, name: str) -> str:
    """However the status lists them."""
    if isinstance(sources, dict):
        return str(sources.get(name, {}).get("state"))
    return next((str(each.get("state")) for each in sources if each.get("name") == name), "") if isinstance(sources, list) else ""


def package(folder: Path) -> Path:
    """An installed distribution with the faulty driver, as a folder for PYTHONPATH."""
    site = folder / "site"
    about = site / "faulty-1.0.dist-info"
    about.mkdir(parents=True)
    shutil.copy(DRIVER, site / "faulty.py")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[gateway.sources]\nfaulty = faulty:plugin\n")
    return site


WARM_UP_SECONDS = 420
"""The history of readings reaches back for five minutes, and memory grows until it does."""

READS_IN_ALARM = 600
"""Half a minute at 20 reads a second, and as many calm."""


@row(
    42,
    "memory over a soak, 40 orders a second and an alarm a minute (times: minutes, after a warm-up of a quarter of that, seven at least)",
    expected="resident memory grows less than 1 MB a day, or by nothing its error does not explain; descriptors stay",
    kind="N",
    count=10,
    night=120,
    limit=1500,
)
async def soak(run: Run) -> None:
    # An alarm a second, as in the other rows, is 86,400 rows a day that are kept for 90 days: their index comes into the page cache,
    # which is bounded to 4 MB, at 5 MB a day. What is remembered of orders is bounded, too; at this rate the usual bounds would be
    # reached after the warm-up. Both would pass for a leak.
    async with Plant(run, pause=0.05, every=READS_IN_ALARM) as plant:
        plant.config["machines"]["mes"]["source"]["remember_keys"] = 500
        plant.config["watch"][0]["order"]["max_orders"] = 500
        await plant.start()
        await asyncio.sleep(max(WARM_UP_SECONDS, run.count * 60 / 4))  # SQLite's caches and the allocator's arenas fill for half an hour
        first = open_files(plant.daemon.pid)
        points: list[tuple[float, float]] = []
        began = time.monotonic()
        while time.monotonic() - began < run.count * 60:
            points.append((time.monotonic() - began, resident_mb(plant.daemon.pid)))
            await asyncio.sleep(1)
        slope, error = fitted(points)
        last = open_files(plant.daemon.pid)
        run.note(mb_per_day=round(slope * 86_400, 2), error_mb_per_day=round(error * 86_400, 2), fds_before=first, fds_after=last)
        run.check(slope * 86_400 < 1 or slope < 2 * error, f"{slope * 86_400:.1f} ± {error * 86_400:.1f} MB a day")
        run.check(abs(last - first) <= 4, f"{first} descriptors before, {last} after")
        await plant.settle()


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def fitted(points: list[tuple[float, float]], blocks: int = 8) -> tuple[float, float]:
    """Slope and its standard error, over medians of blocks of time, because neighbouring points are not independent.

    >>> slope, error = fitted([(float(t), 5.0 + t / 100) for t in range(800)])
    >>> round(slope, 4), error < 1e-3
    (0.01, True)
    """
    size = max(1, len(points) // blocks)
    parts = [points[n : n + size] for n in range(0, size * blocks, size)]
    x = [median(t for t, _ in part) for part in parts]
    y = [median(mb for _, mb in part) for part in parts]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((each - mean_x) ** 2 for each in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    rest = sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    return slope, (rest / (len(x) - 2) / spread) ** 0.5


@row(
    43,
    "CPU starved: nice 19 beside two busy processes on its core; stopped for 30 s",
    expected="lost 0, readings counted, delivering again within 20 s of the end",
    kind="N",
    limit=600,
    needs=("taskset", "nice"),
)
async def starved(run: Run) -> None:
    async with Plant(run) as plant:
        plant.daemon.prefix = ("taskset", "-c", "0", "nice", "-n", "19")
        await plant.start()
        hogs = [subprocess.Popen(["taskset", "-c", "0", sys.executable, "-c", "while True: pass"]) for _ in range(2)]
        try:
            for _ in range(run.count):
                await plant.flow(20, 120)
                plant.daemon.freeze()
                await asyncio.sleep(30)
                plant.daemon.thaw()
                await plant.flow(20, 120)
        finally:
            for hog in hogs:
                hog.kill()
                hog.wait()
        await plant.recovered(20)
        await until(lambda: plant.daemon.alive, 1)
        await plant.settle()
