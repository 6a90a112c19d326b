"""Rows of the configuration: files nobody should write, given to `lineside check` and to a gateway that runs."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.testkit.servers.ports import free_port
from rig.daemon import Daemon, command
from rig.plant import Plant
from rig.run import Run, until
from rig.table import row

HEAD = "version: 1\nsite: {enterprise: acme, site: test, gateway: faults}\n"
BOMBS: dict[str, bytes] = {
    "billion laughs": (
        "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [*{a}{', *'.join(['', *a * 8])}]\n" for a, b in itertools.pairwise("abcdefghi"))
    ).encode(),
    "an alias within itself": b"version: 1\nsite: &s {site: *s}\n",
    "deep lists": HEAD.encode() + b"machines: " + b"[" * 50_000,
    "deep maps": HEAD.encode() + b"machines: " + b"{a: " * 50_000,
    "deep blocks": b"".join(b" " * n + b"a:\n" for n in range(2_000)),
    "an object": b"!!python/object/apply:os.system ['touch lineside-was-here']\n",
    "no UTF-8": HEAD.encode() + b"machines: {\xff\xfe: 1}\n",
    "NUL": HEAD.encode() + b"machines: \x00\n",
    "tabs": b"version: 1\nsite:\n\tsite: test\n",
    "a merge": b"a: &a {b: 1}\nversion: 1\nsite: {<<: *a}\n",
    "a key that is a list": b"? [a, b]\n: 1\n",
    "two documents": HEAD.encode() + b"---\nversion: 1\n",
    "a number of a thousand digits": b"version: " + b"9" * 5_000 + b"\n",
    "an exponent": b"version: 1e999999999\n",
    "5 MB of text": b"version: '" + b"a" * 5_000_000 + b"'\n",
    "a hundred thousand lines": b"- a\n" * 100_000,
    "nothing": b"",
    "only a word": b"lineside\n",
}

Break = Callable[[dict[str, Any]], Any]
BREAKS: dict[str, Break] = {
    "machines": lambda c: c.update(machines=[1, 2]),
    "version": lambda c: c.update(version="one"),
    "machines.press.source": lambda c: c["machines"]["press"].update(source="modbus"),
    "machines.press.source.poll_seconds": lambda c: c["machines"]["press"]["source"].update(poll_seconds="fast"),
    "machines.press.source.tiemout": lambda c: c["machines"]["press"]["source"].update(tiemout="1s"),
    "machines.press.tags.counter": lambda c: c["machines"]["press"]["tags"]["counter"].update(at=99_999_999),
    "machines.press.tags.counter.as": lambda c: c["machines"]["press"]["tags"]["counter"].update({"as": "uint31"}),
    "machines.press.tags.counter.range": lambda c: c["machines"]["press"]["tags"]["counter"].update(range=[5, 1]),
    "machines.press.tags.Counter 2": lambda c: c["machines"]["press"]["tags"].update({"Counter 2": {"at": 40005}}),
    "machines.press.source.lost_after": lambda c: c["machines"]["press"]["source"].update(lost_after="30 parsec"),
    "deliver.crm.timeout": lambda c: c["deliver"]["crm"].update(timeout=[]),
    "deliver.crm.https": lambda c: c["deliver"]["crm"].update(https="http://crm.example/events"),
    "deliver.crm.batch": lambda c: c["deliver"]["crm"].update(batch=-1),
    "deliver.crm.token": lambda c: c["deliver"]["crm"].update(token={"secret": "nobody_has_it"}),
    "deliver.buffer.max_megabytes": lambda c: c["deliver"]["buffer"].update(max_megabytes="much"),
    "watch": lambda c: c["watch"].append({"limit": {"on": "nobody/*", "high": 1}}),
    "watch.unknown": lambda c: c["watch"].append({"magic": {"on": "press/swing"}}),
    "gateway.log_level": lambda c: c["gateway"].update(log_level="loud"),
    "incidents.evidence": lambda c: c["incidents"].update(evidence=5),
    "site": lambda c: c["site"].update(gateway="another"),
}


@row(
    39,
    "a gateway that runs is given broken files: wrong types, unknown keys, bad units, bombs, random bytes",
    expected="refused with line and key within 15 s each, the old one stays in force, never a traceback; 300 MB more at most; lost 0",
    count=40,
    night=2000,
    limit=180,
)
async def reloads(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        await plant.arrived(10)
        good = copy.deepcopy(plant.daemon.config)
        before = plant.daemon.peaks.rss_mb
        for name, broken in BREAKS.items():
            wrong = copy.deepcopy(good)
            broken(wrong)
            await refused(run, plant.daemon, name, json.dumps(wrong, indent=1).encode(), named=name.rpartition(".")[2])
        for name, text in BOMBS.items():
            await refused(run, plant.daemon, name, text)
        run.check(not Path("lineside-was-here").exists(), "a file of the configuration ran a command")
        await fuzzed(run, plant)
        plant.daemon.config = good
        plant.daemon.reload()
        await plant.recovered(15)
        grown = plant.daemon.peaks.rss_mb - before
        run.note(grown_mb=round(grown))
        run.check(grown <= 300, f"{grown:.0f} MB more than before")
        run.check("Traceback" not in plant.daemon.log.read_text(errors="replace"), "a traceback in the log")
        await plant.settle()


def answered(daemon: Daemon) -> list[dict[str, Any]]:
    return daemon.lines("reload refused", "reloaded")


async def given(daemon: Daemon, text: bytes, what: str) -> tuple[list[dict[str, Any]], float]:
    """What it says to this file, and after how long."""
    daemon.file.write_bytes(text)
    known = len(answered(daemon))
    os.kill(daemon.pid, signal.SIGHUP)
    took = await until(lambda: len(answered(daemon)) > known or not daemon.alive, 60, f"an answer to {what}")
    await asyncio.sleep(0.1)  # one line for each thing that is wrong
    return answered(daemon)[known:], took


async def refused(run: Run, daemon: Daemon, name: str, text: bytes, *, named: str = "") -> None:
    said, took = await given(daemon, text, name)
    if not run.check(daemon.alive, f"it ended at {name}: {daemon.tail()[-300:]}"):
        return
    words = " ".join(str(line.get("why", "")) for line in said)
    run.check(said and all(line["message"] == "reload refused" for line in said), f"{name} was taken")
    run.check(took <= 15, f"{name}: {took:.1f} s to say no")
    run.check(len(words) < 20_000, f"{name}: {len(words)} characters of refusal")
    if named == "unknown":
        named = "magic"
    if named and named != "gateway" and name != "site":
        run.check(named in words and "lineside.yaml:" in words, f"{name}: neither key nor line is named: {words[:200]}")


async def fuzzed(run: Run, plant: Plant) -> None:
    """Another gateway, whose file is changed at random places: whatever it then is, it goes on."""
    folder = run.folder / "fuzzed"
    folder.mkdir()
    config = {
        "version": 1,
        "site": {"enterprise": "acme", "site": "test", "gateway": "fuzzed"},
        "machines": {"press": copy.deepcopy(plant.daemon.config["machines"]["press"])},
        "watch": [{"limit": {"on": "press/swing", "high": 70}}],
        "gateway": {"state_dir": str(folder / "state"), "page": {"port": free_port()}},
    }
    daemon = Daemon(folder, config, state=folder / "state", port=config["gateway"]["page"]["port"])  # type: ignore[index]
    try:
        await daemon.start()
        base = daemon.file.read_bytes()
        taken = 0
        for _ in range(run.count):
            said, took = await given(daemon, mutated(base, run.dice), "a mutation")
            if not run.check(daemon.alive, f"it ended at a mutation: {daemon.tail()[-500:]}"):
                return
            run.check(took <= 15, f"{took:.1f} s for a mutation")
            taken += any(line["message"] == "reloaded" for line in said)
        run.note(mutations=run.count, of_them_valid=taken)
        run.check("Traceback" not in daemon.log.read_text(errors="replace"), f"a traceback: {daemon.tail()[-700:]}")
    finally:
        await daemon.close()


WORDS = [*b"null -1 1e309 {} [] true *a &a !!binary } { : # \xff \x00".split(), b"", b"\t", b"\n", b"- ", b"%YAML 9.9\n"]


def mutated(base: bytes, dice: random.Random) -> bytes:
    """Bytes cut out, doubled, replaced by words of YAML, or shuffled by lines."""
    text = bytearray(base)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(max(1, len(text)))
        kind = dice.randrange(5)
        if kind == 0:
            del text[at : at + dice.randint(1, 40)]
        elif kind == 1:
            text[at:at] = text[at : at + dice.randint(1, 80)]
        elif kind == 2:
            text[at : at + dice.randint(0, 6)] = dice.choice(WORDS)
        elif kind == 3:
            text[at:at] = bytes([dice.randrange(256)])
        else:
            lines = bytes(text).split(b"\n")
            first, second = dice.randrange(len(lines)), dice.randrange(len(lines))
            lines[first], lines[second] = lines[second], lines[first]
            text = bytearray(b"\n".join(lines))
    return bytes(text)


@row(
    "39b",
    "`lineside check` and `lineside run` of bombs and of names given twice",
    expected="exit code 2 within 10 s, line and column, no traceback, nothing started",
    count=4,
    night=40,
)
async def checked(run: Run) -> None:
    file = run.folder / "lineside.yaml"
    files = {**BOMBS, "a key twice": f"{HEAD}site: {{site: b}}\n".encode()}
    names = run.dice.sample(sorted(files), min(run.count, len(files)))
    for number, name in enumerate(names):
        file.write_bytes(files[name])
        began = time.monotonic()
        code, said = await command("run" if number % 2 else "check", str(file))
        took = time.monotonic() - began
        run.check(code == 2, f"{name}: exit code {code}: {said[:200]}")
        run.check("Traceback" not in said and "lineside.yaml:" in said, f"{name}: {said[:200]}")
        run.check(took <= 10, f"{name}: {took:.1f} s")
