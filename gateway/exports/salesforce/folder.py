"""The whole source folder as texts by path. Pure: the same arguments, the same bytes."""

from __future__ import annotations

import json
from importlib.resources import files
from string import Template
from typing import Literal

from gateway.exports.salesforce.apps import APP, app_files
from gateway.exports.salesforce.columns import EVENT_COLUMNS, Column
from gateway.exports.salesforce.flows import API_VERSION, flow_files
from gateway.exports.salesforce.objects import object_files
from gateway.exports.salesforce.permissions import PUBLISHER, SERVICE, permission_files

Mode = Literal["event", "record"]
_BASE = "force-app/main/default"


def source_folder(*, mode: Mode = "event", contact: str = "gateway@example.com", certificate: str | None = None) -> dict[str, str]:
    """Text by path.

    mode         event: the gateway publishes, a flow writes the case; record: the gateway writes cases itself
    contact      e-mail address of whoever looks after the app
    certificate  PEM, for the JWT bearer grant; None: client credentials

    raises ValueError   `certificate` is none, or holds a private key
    """
    parts = {"objects": object_files(), "permissionsets": permission_files(mode), "flows": flow_files()}
    below = {f"{kind}/{name}": text for kind, texts in parts.items() for name, text in texts.items()} | app_files(contact, certificate)
    found = {f"{_BASE}/{name}": text for name, text in below.items()}
    found["sfdx-project.json"] = _project()
    found["README.md"] = _readme(mode, jwt=certificate is not None)
    return dict(sorted(found.items()))


def _project() -> str:
    project = {"packageDirectories": [{"path": "force-app", "default": True}], "sourceApiVersion": API_VERSION}
    return json.dumps(project, indent=2) + "\n"


def _readme(mode: Mode, *, jwt: bool) -> str:
    template = (files("gateway.exports.salesforce") / "README.template.md").read_text(encoding="utf-8")
    name = "login-jwt.md" if jwt else "login-credentials.md"
    login = (files("gateway.exports.salesforce") / name).read_text(encoding="utf-8").rstrip()
    given = {
        "app": APP,
        "publisher": PUBLISHER,
        "service": SERVICE,
        "mode": mode,
        "login": login.replace("$app", APP),
        "columns": "\n".join(map(_row, EVENT_COLUMNS)),
    }
    return Template(template).substitute(given)


def _row(column: Column) -> str:
    length = f"{column.length}" + (f",{column.scale}" if column.kind == "Number" else "")
    kind = f"{column.kind}({length})" if column.length else column.kind
    return f"| `{column.name}` | {kind} | {'yes' if column.required else ''} | {column.about} |"
