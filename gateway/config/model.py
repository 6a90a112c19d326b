"""The shape of the YAML file; sources, tags, watches and destinations are judged by their plugins' own models."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from gateway.contract import Bearing, Duration, SecretRef, StrictModel

NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
PLACE = r"^([a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*){0,2})?$"
Name = Annotated[str, Field(pattern=NAME)]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise ValueError(f"{name!r} is no time zone; write for example Europe/Berlin") from exc
    return name


class SiteModel(StrictModel):
    """Who the gateway is in every event."""

    enterprise: Name = Field(description="the company, for example acme")
    site: Name = Field(description="the plant, for example dresden")
    gateway: Name = Field(description="this gateway, unique in the plant, for example dresden-press-01")
    timezone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="of the plant, for shifts and hours of the day")


class MachineModel(StrictModel):
    """One machine: where it stands, what it is in the CRM, how it is read, what is read."""

    path: str = Field("", pattern=PLACE, description="area/line/cell, as far as there are")
    asset: str = Field("", max_length=80, description="id of the machine in the CRM")
    profile: str | None = Field(None, description="name of a profile whose source defaults, tags and records it takes")
    source: dict[str, Any] = Field(default_factory=dict, description="one driver, for example {modbus: 'tcp://10.1.4.7:502'}")
    tags: dict[Name, dict[str, Any] | None] = Field(default_factory=dict, description="one line per tag")
    records: dict[Name, dict[str, Any] | None] = Field(default_factory=dict, description="business messages")
    tags_from: str | None = Field(None, description="a CSV file with more tags, relative to this file")
    bearing: Bearing | None = None


class EvidenceModel(StrictModel):
    """How much of the time around a fault goes into the case."""

    before: Duration = Field("60s", description="readings of the time before the condition began")  # type: ignore[assignment]
    after: Duration = Field("30s", description="and after it was raised")  # type: ignore[assignment]
    max_kilobytes: int = Field(64, ge=1, le=512, description="of evidence in one event; beyond, readings are thinned out")
    max_megabytes_per_minute: float = Field(
        4.0,
        ge=0,
        le=1000,
        description="of evidence in all events; in a storm, later incidents get short curves of the tags concerned",
    )
    keep_blocks_days: int = Field(14, ge=1, le=3650, description="how long whole blocks of fast channels that cases are about stay here")
    blocks_megabytes: int = Field(256, ge=0, le=1_000_000, description="disk they may take; the oldest make room; 0: none are kept")


class IncidentsModel(StrictModel):
    """Defaults of the incident life cycle; each watch may set its own."""

    hold: Duration = Field("0s", description="raise only after the condition held this long")  # type: ignore[assignment]
    clear_after: Duration = Field("5m", description="close after it was over this long")  # type: ignore[assignment]
    evidence: EvidenceModel = Field(default_factory=EvidenceModel)


class BufferModel(StrictModel):
    """The caps of the outbox."""

    max_megabytes: int = Field(512, ge=32, description="of disk for events; beyond, the least severe and oldest are given up and counted")
    min_free_megabytes: int = Field(256, ge=0, description="of the disk that must stay free; below, an outbox of 32 MB may not grow")
    reserve_megabytes: int = Field(8, ge=0, description="kept aside, so that a full disk still takes what must be noted; 0 = nothing")
    keep_events_days: int = Field(30, ge=1, description="what could not be delivered for so long is given up and counted")


class PageTlsModel(StrictModel):
    """https for the page; taken anew at each reload."""

    certificate: str = Field(min_length=1, description="file with the certificate and its chain, PEM, relative to this file")
    key: SecretRef = Field(description="its private key, PEM")


class PageModel(StrictModel):
    """The local page, API and metrics."""

    host: str = Field("127.0.0.1", description="0.0.0.0 = reachable from the network, as soon as there is an account: lineside user add")
    port: int = Field(8080, ge=0, le=65535, description="0 = any free port")
    tls: PageTlsModel | None = Field(None, description="https instead of http")
    lock_after: Duration = Field("15m", gt=0, description="a session nobody uses is locked after this time")  # type: ignore[assignment]
    lock_viewers_after: Duration | None = Field(
        None, gt=0, description="of viewers, for screens on the floor: for example 30d; default: as lock_after"
    )
    longest_session: Duration = Field("12h", gt=0, description="after this time one has to log in again")  # type: ignore[assignment]
    banner: str = Field("", max_length=2000, description="what who logs in has to read first, for example who may")
    security_txt: str | None = Field(None, description="a file that is served as /.well-known/security.txt, relative to this file")


class ClockModel(StrictModel):
    """When the gateway believes the clock of its machine."""

    trust: Literal["auto", "ntp", "always"] = Field(
        "auto", description="auto: NTP, a battery-backed clock, or a time that can be; ntp: only a synchronised clock; always: as it is"
    )
    wait: Duration = Field(  # type: ignore[assignment]
        "10m", ge=1, description="how long events are held for their time to be put right, and a clock that was set is not followed"
    )


class GatewayModel(StrictModel):
    """The gateway itself."""

    page: PageModel | Literal["off"] = Field(default_factory=PageModel, description="off = no page, no API, no metrics")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    clock: ClockModel = Field(default_factory=ClockModel, description="when the clock of the machine is believed")
    state_dir: str = Field("/var/lib/lineside", pattern=r"^[^\x00]+$", description="where the outbox and what was learnt live")
    disk_endurance_terabytes: float | None = Field(
        None, gt=0, description="what the disk of state_dir bears to be written in its life (TBW); without it, 300 times its size"
    )


class RootModel(StrictModel):
    """lineside.yaml"""

    version: Literal[1] = Field(description="of this format: 1")
    site: SiteModel = Field(description="who the gateway is, for example {enterprise: acme, site: dresden, gateway: dresden-press-01}")
    profiles: dict[Name, dict[str, Any]] = Field(default_factory=dict, description="what identical machines share")
    machines: dict[Name, dict[str, Any] | None] = Field(default_factory=dict, description="what is read")
    watch: list[dict[str, Any]] = Field(default_factory=list, description="what is noticed: one detector per entry")
    incidents: IncidentsModel = Field(default_factory=IncidentsModel, description="from a condition to a case")
    deliver: dict[Name, dict[str, Any]] = Field(default_factory=dict, description="where events go; buffer: the caps of the outbox")
    gateway: GatewayModel = Field(default_factory=GatewayModel, description="the gateway itself")
