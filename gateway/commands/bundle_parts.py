"""What is in a support bundle. A part that cannot be had says why, and keeps no other from being there."""

from __future__ import annotations

import http.client
import io
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import distributions
from itertools import islice
from pathlib import Path
from typing import Any

import click

from gateway import __version__
from gateway.commands.check import check_file
from gateway.commands.database import outbox_file, reading
from gateway.commands.doctor import doctor
from gateway.commands.ledger import print_ledger
from gateway.commands.outbox import cloud_event, print_stats
from gateway.commands.page import HERE, ask, has_page
from gateway.config.glance import Glance
from gateway.contract import ConfigError
from gateway.doctor import service
from gateway.life.contents import CONFIG, config_items
from gateway.outbox.rows import SELECTED, from_row

_SHOWN = (".yaml", ".yml", ".csv")
_MOST_EVENTS, _SECONDS = 200, 10.0
_TOLD = ("incidents", "withheld", "shelves")
"""Parts of the status that speak of what happened at the machines."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    config: Path
    known: Glance
    with_events: bool
    log_lines: int


@dataclass(frozen=True)
class Part:
    """newest   if it is too long, its end is kept"""

    name: str
    what: str
    read: Callable[[], str]
    newest: bool = False

    def text(self) -> str:
        try:
            return self.read()
        except (OSError, ConfigError, click.ClickException, http.client.HTTPException, ValueError, subprocess.SubprocessError) as exc:
            return f"could not be had: {exc.format_message() if isinstance(exc, click.ClickException) else exc}\n"


def parts(scene: Scene) -> Iterator[Part]:
    """The small and telling ones first."""
    state, unit = scene.known.state_dir, service.unit_of(scene.config)
    yield Part("versions.json", "lineside, Python, system, libraries", _versions)
    yield Part("doctor.json", "lineside doctor", lambda: _said(lambda: doctor(scene.config, network=True, as_json=True)))
    yield Part("check.txt", "lineside check", lambda: _said(lambda: check_file(scene.config, as_json=False)))
    yield Part("unit.txt", "systemd's view of the unit", lambda: _unit(unit))
    yield Part("machine.txt", "disks, memory, clock, network interfaces and routes", _machine)
    yield Part("status.json", "the page's /api/status without what happened at the machines", lambda: _status(scene))
    yield Part("healthz.json", "the page's /healthz", lambda: _page(scene, "/healthz"))
    yield Part("metrics.txt", "the page's /metrics", lambda: _page(scene, "/metrics"))
    yield Part("ledger.json", "lineside ledger, sums only", lambda: _ledger(state))
    yield Part("outbox.json", "lineside outbox stats", lambda: _said(lambda: print_stats(state, as_json=True)))
    yield from _configuration(scene)
    if scene.with_events:
        yield Part("events.jsonl", f"the newest {_MOST_EVENTS} events that wait or are kept", lambda: _events(state))
    yield Part("journal.txt", f"the last {scene.log_lines:,} lines of the log", lambda: _journal(unit, scene.log_lines), newest=True)


def _configuration(scene: Scene) -> Iterator[Part]:
    """Every YAML and CSV in its folder that is no secret."""
    found = config_items(scene.known.state_dir, scene.config.absolute().parent)
    try:
        paths = [item for item in found if not item.secret and item.path.suffix in _SHOWN]
    except (OSError, ConfigError) as exc:
        why = str(exc)
        yield Part("configuration.txt", "the configuration", lambda: f"could not be had: {why}\n")
        return
    for item in paths:
        yield Part(f"configuration/{item.name.removeprefix(f'{CONFIG}/')}", "configuration", _reader(item.path))


def _reader(path: Path) -> Callable[[], str]:
    return lambda: path.read_text(encoding="utf-8", errors="replace")


def _said(command: Callable[[], int]) -> str:
    """What a command of ours prints."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        command()
    return out.getvalue()


def _versions() -> str:
    release = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    libraries = {str(each.metadata["Name"]): each.version for each in distributions()}
    told = {"lineside": __version__, "python": platform.python_version(), "system": release, "kernel": platform.release()}
    return json.dumps(told | {"machine": platform.machine(), "libraries": dict(sorted(libraries.items()))}, indent=1)


def _machine() -> str:
    """By the programs that are there, each with a deadline."""
    commands = (
        "df -hT",
        "df -i",
        "free -m",
        "uptime",
        "timedatectl",
        "chronyc -n tracking",
        "ip -brief address",
        "ip route",
        "ip -6 route",
        "lsblk",
    )
    return "\n".join(f"$ {command}\n{_run(command.split())}" for command in commands)


def _run(command: list[str]) -> str:
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        return "not installed\n"
    done = subprocess.run(  # noqa: S603  programs of the system and words of ours
        [program, *command[1:]], capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
    )
    return done.stdout + done.stderr


def _unit(name: str) -> str:
    return "".join(f"{key}={value}\n" for key, value in service.ask(name).items()) or "no systemd here\n"


def _journal(unit: str, lines: int) -> str:
    return _run(["journalctl", "-u", unit, "-n", str(lines), "--no-pager", "-o", "short-iso"])


def _page(scene: Scene, path: str) -> str:
    if not has_page(scene.known):
        return "there is no page\n"
    status, body = ask(scene.known, path)
    if status == http.client.UNAUTHORIZED:
        return _unasked(scene.known, path)
    text = body.decode("utf-8", "replace")
    return text if status in (http.client.OK, http.client.SERVICE_UNAVAILABLE) else f"answered {status}: {text[:500]}\n"


def _unasked(known: Glance, path: str) -> str:
    """No token goes along: whoever listens at that port would get it."""
    host, port = known.page or ("", 0)
    insecure = "-k https" if known.tls else "http"
    return (
        f"not in this bundle: the page wants a login for {path}, and this command has none.\n"
        "outbox.json, ledger.json, doctor.json, healthz.json and journal.txt say what is known without it.\n"
        "To add it by hand: lineside token add support --role viewer, then\n"
        f"curl -H 'Authorization: Bearer TOKEN' {insecure}://{HERE.get(host, host)}:{port}{path}\n"
    )


def _status(scene: Scene) -> str:
    text = _page(scene, "/api/status")
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        return text
    return json.dumps({name: value for name, value in found.items() if name not in _TOLD}, indent=1)


def _ledger(state: Path) -> str:
    found = json.loads(_said(lambda: print_ledger(state, 0, as_json=True)))
    return json.dumps({name: value for name, value in found.items() if name != "lines"} | {"count": len(found["lines"])}, indent=1)


def _events(state: Path) -> str:
    with reading(outbox_file(state)) as connection:
        rows = islice(connection.execute(f"SELECT {SELECTED} FROM event e ORDER BY e.seq DESC"), _MOST_EVENTS)  # noqa: S608  columns of ours
        return "".join(json.dumps(cloud_event(event)) + "\n" for row in rows if (event := from_row(row)) is not None)
