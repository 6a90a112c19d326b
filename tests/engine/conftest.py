"""Small tag tables and settings without a file, and a detector that does as it is told."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest

from gateway.config.settings import IncidentSettings, Settings, Site, SourceSettings, WatchSettings
from gateway.contract import (
    Batch,
    DetectorPlugin,
    Finding,
    Frame,
    FrameWatchOptions,
    Machine,
    Record,
    RecordSpec,
    Severity,
    SourceOptions,
    SourcePlugin,
    State,
    StateError,
    Tag,
    TagOptions,
    Waveform,
)


class Told:
    """Keeps what it was given; finds `above` for each reading over 100; raises for 666."""

    takes: ClassVar[frozenset[type]] = frozenset({Batch, Frame, Waveform, Record})

    def __init__(self, options: Any, context: Any) -> None:
        self.context, self.items, self.state = context, list[Any](), b"fresh"
        self.free = threading.Event()
        self.free.set()

    def process(self, item: Batch | Frame | Waveform | Record) -> list[Finding]:
        self.free.wait(5)
        self.items.append(item)
        if isinstance(item, Record):
            return self._of_record(item)
        if not isinstance(item, Batch):
            return []
        if (item.value == 666).any():
            raise ZeroDivisionError("a bug in a detector")
        return [self._finding(int(t), float(v)) for t, v in zip(item.t_ns, item.value, strict=True)]

    def _finding(self, t_ns: int, value: float) -> Finding:
        tag = self.context.tags[0]
        state = State.ACTIVE if value > 100 else State.OVER
        return Finding(
            machine=tag.machine,
            condition=f"{tag.name}_above",
            state=state,
            t_ns=t_ns,
            since_ns=t_ns,
            severity=Severity.WARNING,
            title=f"{tag.name} {value:g}",
            tags=(tag.name,),
        )

    def _of_record(self, record: Record) -> list[Finding]:
        if not record.fields.get("fact"):
            return []
        made = Finding(
            machine="mes",
            condition="milestone_reached",
            state=State.FACT,
            t_ns=record.t_ns,
            since_ns=record.t_ns,
            severity=Severity.INFO,
            title="reached",
            key=str(record.fields["fact"]),
        )
        return [made]

    def dump(self) -> bytes:
        return self.state

    def load(self, state: bytes) -> None:
        if state == b"of another version":
            raise StateError("state is of another version")
        self.state = state


class Plant:
    """Makes tags and settings; every call numbers its tags from 0."""

    @staticmethod
    def tags(machine: str = "m1", **options: dict[str, Any]) -> tuple[Tag, ...]:
        return tuple(Tag(i, machine, name, TagOptions.model_validate(given)) for i, (name, given) in enumerate(options.items()))

    @staticmethod
    def told(name: str = "told", *, slow: bool = False, everything: bool = False) -> DetectorPlugin:
        """The plugin of `Told`."""
        return DetectorPlugin(name=name, domain="limit", options=FrameWatchOptions, build=Told, slow=slow, everything=everything)

    @staticmethod
    def watch(plugin: DetectorPlugin, tags: tuple[Tag, ...], *, records: tuple[RecordSpec, ...] = (), **options: Any) -> WatchSettings:
        given = {"on": ["*/*"], **options}
        return WatchSettings(
            name=options.get("name", f"{plugin.name}-1"),
            plugin=plugin,
            options=plugin.options.model_validate(given),
            tags=tags,
            records=records,
        )

    @staticmethod
    def settings(tags: tuple[Tag, ...], *watches: WatchSettings, incidents: IncidentSettings | None = None, state_dir: Path) -> Settings:
        machines = dict.fromkeys(tag.machine for tag in tags)
        source = SourcePlugin(name="none", options=SourceOptions, tag=TagOptions, build=lambda options, context: None)  # type: ignore[arg-type, return-value]
        return Settings(
            path=state_dir / "lineside.yaml",
            site=Site(enterprise="acme", site="test", gateway="gw", timezone=ZoneInfo("UTC")),
            machines={name: Machine(name=name) for name in machines},
            tags=tags,
            sources=tuple(
                SourceSettings(
                    machine=name, plugin=source, options=SourceOptions(), tags=tuple(t for t in tags if t.machine == name), records=()
                )
                for name in machines
            ),
            watches=watches,
            destinations=(),
            incidents=incidents or IncidentSettings(),
            state_dir=state_dir,
        )


@pytest.fixture
def plant() -> type[Plant]:
    return Plant
