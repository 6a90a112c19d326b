"""Contexts for building a plugin outside the gateway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.clock import SystemClock
from gateway.contract import (
    Clock,
    ConfigError,
    DetectorContext,
    DetectorPlugin,
    Health,
    Machine,
    Receiver,
    RecordSpec,
    SecretRef,
    SourceContext,
    SourcePlugin,
    Tag,
    UplinkContext,
)
from gateway.testkit import temporary


@dataclass
class Secrets:
    """Secrets for a test, by name."""

    values: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, ref: SecretRef) -> str:
        if ref.secret not in self.values:
            raise ConfigError(f"secret {ref.secret} is not there")
        return self.values[ref.secret]


def source_context(
    plugin: SourcePlugin,
    tags: Mapping[str, Mapping[str, Any]],
    *,
    records: Mapping[str, Mapping[str, Any]] | None = None,
    machine: str = "m1",
    clock: Clock | None = None,
    state_dir: Path | None = None,
    secrets: Mapping[str, str] | None = None,
    lost: Counter[str] | None = None,
    pki: Path | None = None,
    told: list[Health] | None = None,
    filled: list[tuple[int, int, int]] | None = None,
    serve: Callable[[Receiver | None], None] = lambda _receiver: None,
) -> SourceContext:
    """Tags and records are given as in YAML; indices count from 0. Losses are counted into `lost`, by reason, and ``skipped_polls``;
    what is told of the device goes to `told`, stretches that came later to `filled`.
    """
    losses = lost if lost is not None else Counter()
    health: list[Health] = told if told is not None else []
    later: list[tuple[int, int, int]] = filled if filled is not None else []

    def dropped(reason: str, count: int) -> None:
        losses[reason] += count

    def skipped(count: int) -> None:
        losses["skipped_polls"] += count

    specs: tuple[RecordSpec, ...] = ()
    if records:
        if plugin.record is None:
            raise ConfigError(f"{plugin.name} takes no records")
        specs = tuple(RecordSpec(machine, name, plugin.record.model_validate(options)) for name, options in records.items())
    folder = state_dir or temporary.folder()
    return SourceContext(
        name=machine,
        tags=tuple(Tag(i, machine, name, plugin.tag.model_validate(options)) for i, (name, options) in enumerate(tags.items())),
        records=specs,
        clock=clock or SystemClock(),
        state_dir=folder,
        pki=pki or folder / "pki",
        secret=Secrets(secrets or {}),
        dropped=dropped,
        skipped=skipped,
        health=health.append,
        filled=lambda from_ns, to_ns, count: later.append((from_ns, to_ns, count)),
        serve=serve,
    )


def detector_context(
    plugin: DetectorPlugin,
    tags: Sequence[str],
    *,
    machines: Mapping[str, Machine] | None = None,
    records: Sequence[str] = (),
    timezone: str = "UTC",
) -> DetectorContext:
    """Tags and records as ``machine/name``; indices count from 0; unnamed machines get a bare `Machine`."""
    pairs = [path.split("/", 1) for path in tags]
    known = {machine: Machine(name=machine) for machine in [m for m, _ in pairs] + [r.split("/", 1)[0] for r in records]}
    return DetectorContext(
        name=f"{plugin.name}-1",
        tags=tuple(Tag(i, machine, name) for i, (machine, name) in enumerate(pairs)),
        records=tuple(RecordSpec(machine, name, None) for machine, name in (path.split("/", 1) for path in records)),
        machines=known | dict(machines or {}),
        timezone=ZoneInfo(timezone),
    )


def uplink_context(
    *, name: str = "crm", clock: Clock | None = None, state_dir: Path | None = None, secrets: Mapping[str, str] | None = None
) -> UplinkContext:
    """For a gateway ``test-gw`` of site ``test`` of ``acme``."""
    return UplinkContext(
        name=name,
        source="urn:lineside:acme:test:test-gw",
        clock=clock or SystemClock(),
        state_dir=state_dir or temporary.folder(),
        secret=Secrets(secrets or {}),
    )
