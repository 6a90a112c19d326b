"""The shape of the YAML file; sources, tags, watches and destinations are judged by their plugins' own models."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from gateway.contract import Bearing, Duration, StrictModel

NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
Name = Annotated[str, Field(pattern=NAME)]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise ValueError(f"{name!r} is no time zone; write for example Europe/Berlin") from exc
    return name


class SiteModel(StrictModel):
    """Who the gateway is in every event."""

    enterprise: Name
    site: Name
    gateway: Name
    timezone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="of the plant, for shifts and hours of the day")


class MachineModel(StrictModel):
    """One machine: where it stands, what it is in the CRM, how it is read, what is read."""

    path: str = Field("", pattern=r"^([a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*){0,2})?$", description="area/line/cell, as far as there are")
    asset: str = Field("", max_length=80, description="id of the machine in the CRM")
    profile: str | None = Field(None, description="name of a profile whose source defaults, tags and records it takes")
    source: dict[str, Any] = Field(default_factory=dict, description="one driver, for example {modbus: 'tcp://10.1.4.7:502'}")
    tags: dict[Name, dict[str, Any] | None] = Field(default_factory=dict, description="one line per tag")
    records: dict[Name, dict[str, Any] | None] = Field(default_factory=dict, description="business messages")
    tags_from: str | None = Field(None, description="a CSV file with more tags, relative to this file")
    bearing: Bearing | None = None


class EvidenceModel(StrictModel):
    """How much of the time around a fault goes into the case."""

    before: Duration = Field("60s")  # type: ignore[assignment]
    after: Duration = Field("30s")  # type: ignore[assignment]
    max_kilobytes: int = Field(64, ge=1, le=512)


class IncidentsModel(StrictModel):
    """Defaults of the incident life cycle; each watch may set its own."""

    hold: Duration = Field("0s", description="raise only after the condition held this long")  # type: ignore[assignment]
    clear_after: Duration = Field("5m", description="close after it was over this long")  # type: ignore[assignment]
    evidence: EvidenceModel = Field(default_factory=EvidenceModel)


class BufferModel(StrictModel):
    """The caps of the outbox."""

    max_megabytes: int = Field(512, ge=1, description="of disk for events; beyond, the least severe and oldest are given up and counted")
    keep_events_days: int = Field(30, ge=1)


class PageModel(StrictModel):
    """The local page, API and metrics."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535, description="0 = any free port")


class GatewayModel(StrictModel):
    """The gateway itself."""

    page: PageModel | Literal["off"] = Field(default_factory=PageModel)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    state_dir: str = "/var/lib/lineside"


class RootModel(StrictModel):
    """lineside.yaml"""

    version: Literal[1]
    site: SiteModel
    profiles: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    machines: dict[Name, dict[str, Any] | None] = Field(default_factory=dict)
    watch: list[dict[str, Any]] = Field(default_factory=list)
    incidents: IncidentsModel = Field(default_factory=IncidentsModel)
    deliver: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    gateway: GatewayModel = Field(default_factory=GatewayModel)
