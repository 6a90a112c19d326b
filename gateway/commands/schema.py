"""`lineside schema`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gateway.config.schema import config_schema
from gateway.events.catalogue import INCIDENT_STATES, event_type, schema

DOMAINS = ("anomaly", "limit", "order", "vibration")
FACTS = (("order", "milestone_reached"), ("gateway", "outbox_replaced"))


def write_schema(path: Path | None) -> None:
    text = json.dumps(config_schema(), indent=2, sort_keys=True) + "\n"
    if path is None:
        click.echo(text, nl=False)
    else:
        path.write_text(text, encoding="utf-8")


def write_contracts(folder: Path) -> None:
    """One file per event type."""
    types = [event_type(domain, state) for domain in DOMAINS for state in INCIDENT_STATES]
    for type_ in types + [event_type(*fact) for fact in FACTS]:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{type_}.schema.json").write_text(json.dumps(schema(type_), indent=2) + "\n", encoding="utf-8")
