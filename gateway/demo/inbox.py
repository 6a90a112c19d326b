"""``python -m gateway.demo.inbox TOKEN_FILE CA_FILE``: the CRM's inbox in a process of its own.

Events come over HTTPS with a bearer token; what became of them is shown over plain HTTP on loopback, for the demo's window and
the story. Writes the certificate of its authority to CA_FILE, says ``{"ready": {...}}``, obeys ``cut`` and ``back``, and ends
when its stdin does.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from gateway.contract import Json
from gateway.demo.cases import Cases
from gateway.demo.control import commands, run_child, say
from gateway.events.build import to_ns
from gateway.testkit.servers.https import Receiver
from gateway.web.guard import guard

HOST: Final = "127.0.0.1"


class Inbox:
    """The receiver, its cases, and how long each took to come.

    A case's latency runs from the `time` of the event that raised it (the sample that decided) to that event's arrival.
    What was accepted while the uplink was cut, and until the gateway came through again, is counted and not timed.
    """

    def __init__(self, token: str | None = None) -> None:
        self.cases = Cases()
        self.receiver = Receiver(tls=True, token=token, on_event=self._take)
        self.latencies_ms: list[float] = []
        self._timed_from_ns: int | None = 0

    async def start(self) -> int:
        """Both servers; returns the port of the plain one."""
        await self.receiver.start()
        app = web.Application()
        guard(app, HOST)
        app.router.add_get("/cases", self._list)
        app.router.add_get("/cases/{incident}", self._one)
        app.router.add_get("/cases/{incident}/picture.svg", self._picture)
        app.router.add_get("/figures", self._figures)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        await self._runner.cleanup()
        await self.receiver.stop()

    async def cut(self) -> None:
        """The uplink is gone: connections are closed and refused."""
        self._timed_from_ns = None
        await self.receiver.stop()

    async def back(self) -> None:
        await self.receiver.start()

    def _take(self, event: dict[str, Any]) -> None:
        now_ns = time.time_ns()
        self.cases.take(event)
        if self._timed_from_ns is None:
            self._timed_from_ns = now_ns
        if event["data"].get("state") == "raised" and to_ns(event["recordedtime"]) >= self._timed_from_ns:
            self.latencies_ms.append((now_ns - to_ns(event["time"])) / 1e6)

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response([case.brief() for case in self.cases])

    async def _one(self, request: web.Request) -> web.Response:
        case = self.cases.get(request.match_info["incident"])
        if case is None:
            raise web.HTTPNotFound
        return web.json_response({**case.brief(), "explanation": case.explanation, "evidence": case.evidence})

    async def _picture(self, request: web.Request) -> web.Response:
        case = self.cases.get(request.match_info["incident"])
        if case is None or case.picture is None:
            raise web.HTTPNotFound
        return web.Response(text=case.picture, content_type="image/svg+xml")

    async def _figures(self, _: web.Request) -> web.Response:
        return web.json_response(self.figures())

    def figures(self) -> dict[str, Json]:
        """``events``: distinct ones; ``repeats``: the same id again (harmless); ``doubled``: counted twice (must not be)."""
        return {
            "events": len(self.receiver.events),
            "facts": self.cases.facts,
            "repeats": self.receiver.repeats,
            "cases": len(self.cases),
            "doubled": self.cases.doubled,
            "latencies_ms": self.latencies_ms,
        }


async def serve(token: str, ca: Path) -> None:
    """Until stdin ends."""
    inbox = Inbox(token)
    port = await inbox.start()
    assert inbox.receiver.ca is not None  # noqa: S101  it was made with TLS
    shutil.copyfile(inbox.receiver.ca, ca)
    say({"ready": {"events": inbox.receiver.url, "cases": f"http://{HOST}:{port}"}})
    async for words in commands():
        match words:
            case ["cut"]:
                await inbox.cut()
            case ["back"]:
                await inbox.back()
            case _:
                raise ValueError(f"the inbox does not know: {' '.join(words)}")


if __name__ == "__main__":
    run_child(serve(Path(sys.argv[1]).read_text(encoding="utf-8").strip(), Path(sys.argv[2])))
