"""`lineside run`: signals, loop, exit codes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click

from gateway.app import App
from gateway.config import Settings
from gateway.contract import ConfigError
from gateway.life import resume
from gateway.loop import new_loop
from gateway.outbox.lock import NotNow
from gateway.telemetry.log import Style, configure

_NOT_NOW, _CONFIG = 1, 2
LEAVE_SECONDS = 1.0
PAUSE_SECONDS = 5.0
"""Before it gives up on a disk that refuses: systemd starts it again at once, and a disk is not mended in two seconds."""


def finish_restore(file: Path) -> None:
    """One that was interrupted, before anything of what it replaces is read; ends the process if it cannot be."""
    try:
        resume.finish_restore(file)
    except ConfigError as exc:
        click.echo(f"lineside: {exc}", err=True)
        sys.exit(_CONFIG)


def run_gateway(settings: Settings, style: str) -> int:
    """Exit code: 0 stopped in good order, 2 cannot run with this configuration, 1 the disk takes nothing now; a crash is a traceback
    and exit code 1, too.
    """
    chosen: Style = style  # type: ignore[assignment]  # click has checked it
    configure(settings.log_level, chosen)
    code = 0
    # All of ours is closed then, but uvloop waits for lookups that hang.
    leaving = threading.Timer(LEAVE_SECONDS, os._exit, (0,))
    leaving.daemon = True
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_main(settings))
            leaving.start()
    except* NotNow as group:
        for exc in _leaves(group):
            click.echo(f"lineside: {exc}", err=True)
        time.sleep(PAUSE_SECONDS)
        code = _NOT_NOW
    except* ConfigError as group:
        for exc in _leaves(group):
            click.echo(f"lineside: {exc}", err=True)
        code = _CONFIG
    leaving.cancel()
    return code


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for exc in group.exceptions:
        if isinstance(exc, BaseExceptionGroup):
            yield from _leaves(exc)
        else:
            yield exc


async def _main(settings: Settings) -> None:
    app = App(settings)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, app.stop)
    loop.add_signal_handler(signal.SIGINT, app.stop)
    loop.add_signal_handler(signal.SIGHUP, app.ask_reload)
    await app.run()
