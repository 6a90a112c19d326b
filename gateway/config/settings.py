"""The configuration after it was understood: everything resolved, validated and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.contract import (
    DetectorPlugin,
    Filter,
    Machine,
    RecordSpec,
    SecretRef,
    SourcePlugin,
    Tag,
    UplinkPlugin,
)


@dataclass(frozen=True, kw_only=True)
class Site:
    """Who we are in every event. Names are `[a-z0-9_-]`."""

    enterprise: str
    site: str
    gateway: str
    timezone: ZoneInfo

    @property
    def urn(self) -> str:
        return f"urn:lineside:{self.enterprise}:{self.site}:{self.gateway}"


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """One machine's source. `options` is the plugin's own model, `tags` are rows of the tag table.

    isolated   the entry point of the plugin, if the source is read in a process of its own; else None
    secrets    stands for the values of the secrets it names: another one when one was changed; of this process alone
    """

    machine: str
    plugin: SourcePlugin
    options: Any
    tags: tuple[Tag, ...]
    records: tuple[RecordSpec, ...]
    isolated: str | None = None
    secrets: int = field(default=0, repr=False)


@dataclass(frozen=True, kw_only=True)
class WatchSettings:
    """One detector. `only_when` is per machine because each machine has its own tags."""

    name: str
    plugin: DetectorPlugin
    options: Any
    tags: tuple[Tag, ...]
    records: tuple[RecordSpec, ...]


@dataclass(frozen=True, kw_only=True)
class DestinationSettings:
    """secrets   as of a source"""

    name: str
    plugin: UplinkPlugin
    options: Any
    when: Filter
    secrets: int = field(default=0, repr=False)


@dataclass(frozen=True, kw_only=True)
class IncidentSettings:
    """Seconds; a watch's own `hold` and `clear_after` go first."""

    hold: float = 0.0
    clear_after: float = 300.0
    before: float = 60.0
    after: float = 30.0
    evidence_kilobytes: int = 64
    evidence_megabytes_per_minute: float = 4.0
    keep_blocks_days: int = 14
    blocks_megabytes: int = 256


@dataclass(frozen=True, kw_only=True)
class BufferSettings:
    max_megabytes: int = 512
    min_free_megabytes: int = 256
    reserve_megabytes: int = 8
    keep_events_days: int = 30


@dataclass(frozen=True)
class PageTls:
    """The certificate's file, and where its key is found."""

    certificate: Path
    key: SecretRef


@dataclass(frozen=True, kw_only=True)
class ClockSettings:
    """`trust` is auto, ntp or always; seconds."""

    trust: str = "auto"
    wait: float = 600.0


@dataclass(frozen=True, kw_only=True)
class WebSettings:
    """Where the local page listens; None: no page, no metrics. Seconds."""

    host: str = "127.0.0.1"
    port: int = 8080
    tls: PageTls | None = None
    lock_after: float = 900.0
    lock_viewers_after: float = 900.0
    longest_session: float = 43_200.0
    banner: str = ""
    security_txt: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One valid configuration file.

    tags        the tag table: `tags[i].index == i`, machines in the order of the file
    secrets     names of all secrets the file refers to
    state_dir   where the outbox and detector state live
    files       SHA-256 of the file and of each list of tags it names, by name as it has them
    signed_by   id of the key they are signed with; empty: no signature is needed here
    """

    path: Path
    site: Site
    machines: Mapping[str, Machine]
    tags: tuple[Tag, ...]
    sources: tuple[SourceSettings, ...]
    watches: tuple[WatchSettings, ...]
    destinations: tuple[DestinationSettings, ...]
    incidents: IncidentSettings = field(default_factory=IncidentSettings)
    buffer: BufferSettings = field(default_factory=BufferSettings)
    web: WebSettings | None = field(default_factory=WebSettings)
    clock: ClockSettings = field(default_factory=ClockSettings)
    log_level: str = "info"
    state_dir: Path = Path("/var/lib/lineside")
    disk_endurance_terabytes: float | None = None
    secrets: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    signed_by: str = ""

    @property
    def digest(self) -> str:
        """Of the file itself; empty for settings nobody read from one."""
        return self.files.get(self.path.name, "")
