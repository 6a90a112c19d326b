"""A CRM that takes CloudEvents over HTTPS, writes down what it stored before it answers, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import trustme
from aiohttp import web

from gateway.testkit.servers.ports import free_port
from rig.ledger import Arrival
from rig.mes import step_of

NAMES = ("localhost", "127.0.0.1", "10.99.0.2", "crm.test")
Whim: TypeAlias = Callable[[web.Request, list[dict[str, Any]]], Awaitable[web.StreamResponse | None]]
"""Answers in the CRM's place; None: it goes on."""


class Crm:
    """Keeps its port and its log over `stop` and `start`.

    log       every event of every request that was stored, in the order they came, also those that came again
    before    asked before anything is stored: what it answers is the answer, and nothing is stored
    after     asked when it is stored: the acknowledgement may get lost here
    changed   ids of events whose content is not what their source said
    requests  when requests came (loop's time), whatever became of them
    host      by which the daemon knows it: of NAMES, if its certificate is to fit
    """

    def __init__(self, folder: Path, *, tls: bool = True) -> None:
        self.port = free_port()
        self.log: list[Arrival] = []
        self.documents: dict[str, dict[str, Any]] = {}
        self.keys: set[str] = set()
        self.changed: list[str] = []
        self.before: Whim | None = None
        self.after: Whim | None = None
        self.requests: list[float] = []
        self.answers: Counter[int] = Counter()
        self.ca = folder / "crm-ca.pem"
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(self.ca)
        self.host = "localhost"
        self.tls = self.certificate(*NAMES) if tls else None
        self._runner: web.AppRunner | None = None
        self._file = os.open(folder / "crm.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}/events"

    def certificate(self, *names: str, authority: trustme.CA | None = None, **options: Any) -> ssl.SSLContext:
        """A server's context with a new certificate for `names`; `options` of trustme's `issue_cert`. For `tls`, before `start`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (authority or self.authority).issue_cert(*names, **options).configure_cert(context)
        return context

    async def start(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/events", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        at = "127.0.0.1" if self.host == "localhost" else "0.0.0.0"
        await web.TCPSite(self._runner, at, self.port, ssl_context=self.tls, reuse_address=True).start()

    async def stop(self) -> None:
        """Cuts every connection."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(asyncio.get_running_loop().time())
        parsed = await request.json()
        documents = parsed if isinstance(parsed, list) else [parsed]
        answer = await self.before(request, documents) if self.before else None
        if answer is None:
            self._store(documents)
            answer = await self.after(request, documents) if self.after else None
        answer = answer or web.Response(status=202)
        self.answers[answer.status] += 1
        return answer

    def _store(self, documents: list[dict[str, Any]]) -> None:
        arrived = [_arrival(document) for document in documents]
        os.write(self._file, "".join(f"{json.dumps(each)}\n" for each in arrived).encode())
        os.fsync(self._file)
        self.log += arrived
        for document, each in zip(documents, arrived, strict=True):
            self.documents.setdefault(document["id"], document)
            if each.key:
                self.keys.add(each.key)
                if document["data"]["explanation"].get("step") != step_of(each.key):
                    self.changed.append(each.id)


def _arrival(document: dict[str, Any]) -> Arrival:
    data = document.get("data") or {}
    key = str((data.get("explanation") or {}).get("order", ""))
    return Arrival(document["source"], int(document["sequence"]), document["id"], document.get("partitionkey", ""), key)
