"""What a small gateway writes to its card in a day: 50 tags once a second, an ext4 of its own on a loop device, sectors counted there."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.gateway import Gateway
from benchmarks.machine import written_bytes
from benchmarks.result import Result, Target
from benchmarks.servers import Missing, modbus_servers
from gateway.clock import SystemClock
from gateway.engine.snapshot import Pace
from gateway.testkit.servers.https import Receiver

TAGS = 50
MINUTES = float(os.environ.get("WEAR_MINUTES", "20"))
WARM_UP_SECONDS = 90.0
"""After it the outbox is made, the first states are written and the first checkpoint of what the start did is over."""
DAY = 86_400.0
SECTOR = 512


class Card:
    """A loop device with an ext4 as Debian makes it (journal, commit every five seconds), in a file on the disk."""

    def __init__(self, folder: Path) -> None:
        self._work, self.folder = folder, folder / "card"

    def __enter__(self) -> Card:
        image = self._work / "card.img"
        with image.open("wb") as file:
            file.truncate(1 << 30)
        try:
            subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)], check=True)
            self.device = Path(subprocess.check_output(["losetup", "-f", "--show", str(image)], text=True).strip())
        except (OSError, subprocess.CalledProcessError) as exc:
            raise Missing("root, e2fsprogs and a loop device") from exc
        self.folder.mkdir()
        subprocess.run(["mount", str(self.device), str(self.folder)], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)
        subprocess.run(["losetup", "-d", str(self.device)], check=True)

    def written(self) -> tuple[int, int]:
        """Requests and bytes that the device was asked to write so far, by field 5 and 7 of its `stat`."""
        fields = (Path("/sys/block") / self.device.name / "stat").read_text().split()
        return int(fields[4]), int(fields[6]) * SECTOR


def config(port: int, receiver: str) -> str:
    tags = "".join(f"      r{i:02d}: {{at: {40001 + i}}}\n" for i in range(TAGS))
    return (
        f'machines:\n  plc:\n    source: {{modbus: "tcp://127.0.0.1:{port}", poll_seconds: 1}}\n    tags:\n{tags}'
        'watch:\n  - limit: {on: "plc/*", high: 70000}\n  - anomaly: {on: "plc/*"}\n'
        f'deliver:\n  crm: {{https: "{receiver}", mode: batch}}\n'
    )


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lineside-wear-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def run() -> list[Result]:
    with scratch() as folder:
        (folder / "run").mkdir()
        with Card(folder) as card:
            (folder / "run" / "state").symlink_to(card.folder)
            async with modbus_servers(1) as (port,), Receiver(tls=False) as crm, Gateway(config(port, crm.url), folder / "run") as gateway:
                await asyncio.sleep(WARM_UP_SECONDS)
                found = await measure(gateway, card)
                found.facts["state_files"] = {path.name: path.stat().st_size for path in card.folder.glob("**/*") if path.is_file()}
                return [found]


async def measure(gateway: Gateway, card: Card) -> Result:
    before, own, begun = card.written(), written_bytes(gateway.pid), await gateway.sample()
    minutes = []
    for _ in range(round(MINUTES)):
        last = card.written()[1]
        await asyncio.sleep(60)
        minutes.append(card.written()[1] - last)
    seen = await gateway.sample() - begun
    requests, written = (now - then for now, then in zip(card.written(), before, strict=True))
    states, saves_a_day = await save(gateway, card)
    daily = written / seen.at * DAY + states * saves_a_day
    return Result(
        f"{TAGS} tags at 1 Hz, a limit and the anomaly bank: written to the card, with WAL and the journal of ext4",
        (Target("MB a day", daily / 1e6, "<=", 50),),
        {
            "minutes": round(seen.at / 60, 1),
            "bytes": written,
            "requests": requests,
            "kilobytes_by_minute": [round(each / 1e3, 1) for each in minutes],
            "of_it_by_the_process": written_bytes(gateway.pid) - own,
            "bytes_of_saving_all_states": states,
            "saves_a_day": round(saves_a_day, 1),
            "readings": round(seen.counters["readings"]),
            "events": round(seen.counters.get("events", 0)),
            "commits": round(seen.counters["outbox_commits"]),
            "gateway_says_mb_a_day": _told(await gateway.metrics()),
        },
    )


async def save(gateway: Gateway, card: Card) -> tuple[int, float]:
    """What one writing of all states costs, and how often a day that is: more rarely than the window is long, so it is added."""
    pace = Pace(SystemClock())
    for path in card.folder.glob("detectors/*.state"):
        pace.saved(path.name, path.read_bytes())
    before = card.written()[1]
    os.kill(gateway.pid, signal.SIGHUP)
    await asyncio.sleep(20)
    return card.written()[1] - before, DAY / pace.seconds()


def _told(text: str) -> dict[str, float]:
    found = re.findall(r'^lineside_storage_written_bytes_per_day\{of="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {of: round(float(value) / 1e6, 1) for of, value in found}
