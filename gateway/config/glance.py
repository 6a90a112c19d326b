"""What a command needs of a configuration that may have errors elsewhere: who the gateway is, where its state and its page are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.config.model import GatewayModel, SiteModel
from gateway.config.nodes import NotYaml
from gateway.config.yaml import parse
from gateway.contract import ConfigError


@dataclass(frozen=True, kw_only=True)
class Glance:
    """site   the urn's last three parts; page  host and port, None: there is none; tls  it speaks https"""

    site: tuple[str, str, str]
    state_dir: Path
    page: tuple[str, int] | None
    tls: bool = False

    @property
    def gateway(self) -> str:
        return self.site[2]

    @property
    def urn(self) -> str:
        return "urn:lineside:" + ":".join(self.site)


def glance(path: Path) -> Glance:
    """Looks at `site` and `gateway` only. Raises ConfigError when these cannot be used, or the file cannot be read."""
    try:
        document = parse(path.read_text(encoding="utf-8-sig")).data
    except FileNotFoundError as exc:
        raise ConfigError(f"there is no file {path}; name the gateway's configuration") from exc
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}; run the command as root or as the gateway's user") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is not UTF-8 text") from exc
    except NotYaml as exc:
        raise ConfigError(f"{path}:{exc.position[0]}: not YAML: {exc.problem}") from exc
    site, gateway = (_part(document, name) for name in ("site", "gateway"))
    try:
        who, how = SiteModel(**site), GatewayModel(**gateway)
    except (ValidationError, TypeError) as exc:
        raise ConfigError(f"{path}: site or gateway has errors; lineside check {path} says which") from exc
    page = None if how.page == "off" else (how.page.host, how.page.port)
    tls = getattr(how.page, "tls", None) is not None
    return Glance(site=(who.enterprise, who.site, who.gateway), state_dir=Path(how.state_dir), page=page, tls=tls)


def _part(document: Any, name: str) -> dict[str, Any]:
    found = document.get(name) if isinstance(document, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}
