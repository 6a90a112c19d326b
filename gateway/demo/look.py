"""What the demo sees of the gateway and of the inbox: asked over HTTP, as any page would."""

from __future__ import annotations

from dataclasses import dataclass, field

import aiohttp

from gateway.contract import Json


@dataclass(frozen=True)
class Look:
    """Both at one moment; empty before the first answer.

    status, machines, incidents   the gateway's API (see `gateway.web.view`)
    cases, figures                the inbox's
    """

    status: dict[str, Json] = field(default_factory=dict)
    machines: list[Json] = field(default_factory=list)
    incidents: list[Json] = field(default_factory=list)
    cases: list[Json] = field(default_factory=list)
    figures: dict[str, Json] = field(default_factory=dict)

    def counter(self, name: str) -> int:
        """Sum over all labels of one of the gateway's counters."""
        counters = self.status.get("counters", {})
        return sum(count for key, count in counters.items() if key.partition("{")[0] == name)

    @property
    def up(self) -> bool:
        """Every source delivers."""
        sources = self.status.get("sources", [])
        return bool(sources) and all(source["state"] == "up" and source["readings"] for source in sources)

    @property
    def waiting(self) -> int:
        """Events in the outbox."""
        events: int = self.status["outbox"]["events"] if self.status else 0
        return events

    def destination(self, name: str) -> dict[str, Json]:
        found: dict[str, Json] = next((d for d in self.status.get("destinations", []) if d["name"] == name), {})
        return found


class Looker:
    """Asks; raises aiohttp.ClientError or TimeoutError when one of them does not answer."""

    def __init__(self, session: aiohttp.ClientSession, gateway: str, inbox: str) -> None:
        self._session, self._gateway, self._inbox = session, gateway, inbox

    async def look(self) -> Look:
        return Look(
            status=await self._ask(f"{self._gateway}/api/status"),
            machines=await self._ask(f"{self._gateway}/api/machines"),
            incidents=await self._ask(f"{self._gateway}/api/incidents"),
            cases=await self._ask(f"{self._inbox}/cases"),
            figures=await self._ask(f"{self._inbox}/figures"),
        )

    async def figures(self) -> dict[str, Json]:
        """The inbox alone, for when the gateway has stopped."""
        found: dict[str, Json] = await self._ask(f"{self._inbox}/figures")
        return found

    async def cases(self) -> list[Json]:
        found: list[Json] = await self._ask(f"{self._inbox}/cases")
        return found

    async def _ask(self, url: str) -> Json:
        async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as answer:
            answer.raise_for_status()
            return await answer.json()
