"""The processes of a demo: each on a leash, with its log in the demo's folder, stopped by its own id."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gateway.contract import Json

LINESIDE = (sys.executable, "-c", "from gateway.cli import main; main()")
"""The command `lineside` of this very installation."""


class ChildFailed(Exception):
    """A process ended that should run, or did not become ready; the message names its log."""


class Child:
    """One process. What it says on stdout as JSON lines is kept in `said`; everything else goes to its log.

    speaks   False: stdout goes to the log too
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path, *, speaks: bool = True) -> None:
        self.name, self._command, self._folder, self._speaks = name, command, folder, speaks
        self.log = folder / f"{name}.log"
        self.said: dict[str, Json] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._news = asyncio.Condition()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        leash = (sys.executable, "-m", "gateway.demo.leash", str(os.getpid()))
        environment = {**os.environ, "TMPDIR": str(self._folder / "tmp")}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *leash,
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE if self._speaks else log,
                stderr=log,
                env=environment,
            )
        self._listening = asyncio.create_task(self._listen(self._process), name=f"listen to {self.name}")

    async def ready(self, seconds: float = 30.0) -> Json:
        """What it says when it is ready. Raises ChildFailed."""
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: "ready" in self.said or self._listening.done())
        except TimeoutError:
            raise ChildFailed(f"{self.name} was not ready within {seconds:g} s; see {self.log}") from None
        self.check()
        return self.said["ready"]

    def check(self) -> None:
        """Raises ChildFailed when it has ended."""
        if self._process is None or self._process.returncode is not None or self._listening.done():
            raise ChildFailed(f"{self.name} ended by itself; see {self.log}\n{self._last_words()}")

    def tell(self, *words: object) -> None:
        """One command on its stdin."""
        assert self._process is not None  # noqa: S101
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write((" ".join(map(str, words)) + "\n").encode())

    async def stop(self, seconds: float = 10.0) -> int:
        """Close its stdin and ask it to end; kill it when it does not. Returns its exit code; 0 if it never ran."""
        process, self._process = self._process, None
        if process is None:
            return 0
        assert process.stdin is not None  # noqa: S101
        process.stdin.close()
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(seconds):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            code = await process.wait()
        await self._listening
        return code

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(f"  {line[:300]}" for line in lines[-5:])

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Until it ends."""
        if process.stdout is not None:
            while line := await process.stdout.readline():
                async with self._news:
                    self.said |= json.loads(line)
                    self._news.notify_all()
        await process.wait()
        async with self._news:
            self._news.notify_all()
