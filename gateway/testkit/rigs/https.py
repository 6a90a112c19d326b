"""HTTPS: an aiohttp receiver with a certificate of its own authority, and a token."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway import registry
from gateway.contract import Uplink
from gateway.testkit.contexts import uplink_context
from gateway.testkit.servers.https import Receiver
from gateway.testkit.servers.ports import free_port


class Rig:
    """In batch mode, where a refused event must be found among its neighbours."""

    exempt: ClassVar[dict[str, str]] = {}
    mode = "batch"

    def __init__(self) -> None:
        self._receiver, self._dead = Receiver(tls=True, token="s3cret"), free_port()

    async def start(self) -> None:
        await self._receiver.start()

    async def stop(self) -> None:
        await self._receiver.stop()

    async def hang(self) -> None:
        self._receiver.hang = True

    async def resume(self) -> None:
        self._receiver.resume()

    async def poison(self, event_id: str) -> None:
        self._receiver.poison.add(event_id)

    def uplink(self) -> Uplink:
        return self._build(self._receiver.url)

    def dead_uplink(self) -> Uplink:
        return self._build(f"https://localhost:{self._dead}/events")

    async def received(self) -> list[str]:
        return list(self._receiver.order)

    def _build(self, url: str) -> Uplink:
        plugin = registry.uplink("https")
        options: dict[str, Any] = {
            "https": url,
            "timeout": "1s",
            "mode": self.mode,
            "token": {"secret": "crm"},
            "ca": str(self._receiver.ca),
        }
        return plugin.build(plugin.options.model_validate(options), uplink_context(secrets={"crm": "s3cret"}))
