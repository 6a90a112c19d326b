"""`lineside demo`: starts everything, lets the story play, says what came of it."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import click

from gateway.contract import Json
from gateway.demo.children import ChildFailed
from gateway.demo.figures import failures, stored, summary
from gateway.demo.folder import FolderRefused, RunFolder
from gateway.demo.look import Looker
from gateway.demo.plan import DEFAULT_SECONDS, Plan
from gateway.demo.play import Story
from gateway.demo.scene import Scene
from gateway.demo.servers import Servers, choose_port
from gateway.demo.view import shown
from gateway.demo.window import INBOX, Window
from gateway.testkit.servers.ports import free_port

OK, UNTRUE, REFUSED, INTERRUPTED = 0, 1, 2, 130


def run_demo(*, seconds: float | None, summary: Path | None, folder: Path, port: int) -> int:
    """Exit code: 0 the story came true (or nobody waited for its end), 1 it did not, 2 it cannot start here, 130 interrupted.

    seconds   the story's length; it ends by itself then. None: a slow story, and everything keeps running until Ctrl-C
    """
    try:
        run_folder, servers = _prepared(folder)
    except (FolderRefused, OSError) as exc:
        click.echo(f"lineside demo: {exc}", err=True)
        return REFUSED
    try:
        return asyncio.run(_Demo(run_folder, servers, seconds, summary).run(port))
    except (ChildFailed, aiohttp.ClientError, TimeoutError) as exc:
        click.echo(f"lineside demo: {exc or type(exc).__name__}", err=True)
        return UNTRUE
    finally:
        run_folder.close()


def _prepared(folder: Path) -> tuple[RunFolder, Servers]:
    run_folder = RunFolder(folder)
    try:
        return run_folder, Servers.of(run_folder.path)
    except OSError:
        run_folder.close()
        raise


class _Demo:
    def __init__(self, folder: RunFolder, servers: Servers, seconds: float | None, summary: Path | None) -> None:
        self._folder, self._servers, self._unattended, self._summary = folder, servers, seconds is not None, summary
        self._plan = Plan.of(seconds or DEFAULT_SECONDS)
        self._scene = Scene(self._plan.seconds)
        self._stop = asyncio.Event()

    async def run(self, port: int) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        try:
            async with aiohttp.ClientSession() as session:
                return await self._tell(session, port)
        finally:
            await self._servers.stop()

    async def _tell(self, session: aiohttp.ClientSession, port: int) -> int:
        chosen = choose_port(port)
        if port not in (0, chosen):
            self._scene.notes.append(f"port {port} is taken; the page is at {chosen}")
        async with shown(self._scene), AsyncExitStack() as opened:
            if not await self._unless_stopped(self._servers.start(self._folder, page_port=free_port(), clear_after=self._plan.clear_after)):
                return INTERRUPTED
            window = Window(session, self._servers.page, self._servers.cases)
            opened.push_async_callback(window.stop)
            self._scene.page = f"{await window.start(chosen)}/?inbox={INBOX}"
            looker = Looker(session, self._servers.page, self._servers.cases)
            story = Story(self._plan, self._servers, looker, self._scene)
            ended = await self._unless_stopped(_either(story.play(), story.follow()))
            if ended and not self._unattended:
                await self._unless_stopped(story.follow())
        click.echo("stopping, then counting what was committed and what arrived", err=True)
        figures, cases = await self._count(looker)
        wrong = failures(figures, cases, story.cut) if ended else []
        self._report(figures, wrong, ended)
        if not ended and self._unattended:
            return INTERRUPTED
        return UNTRUE if wrong else OK

    async def _unless_stopped(self, work: Coroutine[None, None, None]) -> bool:
        """False when the user stopped it; raises what the work raises."""
        task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
        done = task.done()
        stopped.cancel()
        task.cancel()
        await asyncio.wait([task, stopped])
        if done:
            task.result()
        return done

    async def _count(self, looker: Looker) -> tuple[dict[str, Json], list[Json]]:
        """A last look, then the gateway stops, and both ends of the line are compared."""
        look = await looker.look()
        await self._servers.gateway.stop(20.0)
        inbox, cases = await looker.figures(), await looker.cases()
        bytes_in = int(self._servers.plant.said.get("bytes", 0))
        streamed = await _streamed(self._servers.nats_url)
        return summary(look, stored(self._folder.path / "state"), inbox, streamed, bytes_in), cases

    def _report(self, figures: dict[str, Json], wrong: list[str], ended: bool) -> None:
        verdict = not wrong if ended else None
        text = json.dumps({"seconds": self._plan.seconds, "true": verdict, "failures": wrong, **figures}, indent=2)
        if self._summary is not None:
            self._summary.write_text(text + "\n", encoding="utf-8")
        else:
            click.echo(text)
        if verdict:
            told = ", ".join(f"{figures[name]} {name}" for name in ("cases", "lost", "doubled"))
            click.echo(f"the story came true: {told}", err=True)
        for failure in wrong:
            click.echo(f"not as told: {failure}", err=True)
        click.echo(f"{self._folder.path}: lineside.yaml, gateway.log, plant.log, inbox.log and the state are left to look at", err=True)


async def _either(story: Coroutine[None, None, None], follow: Coroutine[None, None, None]) -> None:
    """Play while following; whichever fails ends both."""
    following = asyncio.ensure_future(follow)
    playing = asyncio.ensure_future(story)
    try:
        await asyncio.wait([following, playing], return_when=asyncio.FIRST_COMPLETED)
        (following if following.done() else playing).result()
    finally:
        for task in (following, playing):
            task.cancel()
        await asyncio.wait([following, playing])


async def _streamed(url: str) -> int:
    """Messages in the stream the gateway made; 0 if it made none."""
    import nats
    from nats.js.errors import NotFoundError

    client = await nats.connect(url, allow_reconnect=False)
    try:
        return int((await client.jetstream().stream_info("EVENTS")).state.messages)
    except NotFoundError:
        return 0
    finally:
        await client.close()
