"""HTTPS uplinks with secrets and usages to look at, and events of incidents: for tests of what arrives at a receiver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from gateway import registry
from gateway.contract import Clock, Event, Outcome, OutcomeKind, Severity, Step, Uplink, UplinkContext, Usage
from gateway.testkit.contexts import uplink_context
from gateway.testkit.rigs import event


def incident(number: int, state: str = "raised", *, machine: str = "press-07", severity: Severity = Severity.WARNING, **data: Any) -> Event:
    """An event of incident `number`; more `data` as the contract has it."""
    given = {
        "incident": f"inc-{number}",
        "state": state,
        "machine": machine,
        "condition": "oil_temperature_high",
        "title": f"{machine}: oil temperature high",
        "score": 1.25,
        "explanation": {"value": 71.5, "limit": 70},
        **data,
    }
    return msgspec.structs.replace(
        event(number),
        id=f"inc-{number}-{state}",
        type=f"io.lineside.limit.{state}.v1",
        correlationid=f"inc-{number}",
        partitionkey=machine,
        subject=f"area/line/_/{machine}/oil_temperature",
        severity=severity,
        data=msgspec.json.encode(given),
    )


def kinds(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.kind.value for outcome in outcomes]


def sent(count: int) -> list[str]:
    return [OutcomeKind.SENT.value] * count


@dataclass
class Bench:
    """Makes uplinks, and keeps what they tell."""

    secrets: dict[str, str] = field(default_factory=lambda: {"crm": "s3cret"})
    usages: list[Usage] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    clock: Clock | None = None
    made: list[Uplink] = field(default_factory=list)

    def context(self) -> UplinkContext:
        plain = uplink_context(secrets=self.secrets, clock=self.clock)
        return replace(plain, used=self.usages.append, cut=self.cut.append)

    async def uplink(self, url: str, **options: Any) -> Any:
        """Connected; closed at the end."""
        plugin = registry.uplink("https")
        made = plugin.build(plugin.options.model_validate({"https": url, "timeout": "2s"} | options), self.context())
        self.made.append(made)
        await made.connect()
        return made

    async def steps(self, url: str, event_: Event | None = None, **options: Any) -> list[Step]:
        """Of an examination."""
        plugin = registry.uplink("https")
        assert plugin.examine is not None
        made = plugin.options.model_validate({"https": url, "timeout": "2s"} | options)
        return [step async for step in plugin.examine(made, self.context(), event_)]
