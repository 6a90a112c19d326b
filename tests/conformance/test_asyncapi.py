"""The parser of the AsyncAPI project accepts what `lineside export asyncapi` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def document(lineside: Any, tmp_path: Path) -> Any:
    lineside("export", "asyncapi", tmp_path / "events.json")
    return json.loads((tmp_path / "events.json").read_text())


async def test_the_document_has_no_errors_and_everything_is_found_in_it(node: Any, document: Any, tmp_path: Path) -> None:
    counts = {name: len(document[name]) for name in ("channels", "operations", "servers")}
    messages = len(document["components"]["messages"])
    assert await node("asyncapi.mjs", tmp_path / "events.json") == {"errors": [], **counts, "messages": messages}


def action(document: Any) -> None:
    next(iter(document["operations"].values()))["action"] = "publish"


def reference(document: Any) -> None:
    next(iter(document["operations"].values()))["channel"]["$ref"] += "-gone"


def parameter(document: Any) -> None:
    next(channel for channel in document["channels"].values() if channel.get("parameters"))["parameters"].popitem()


def schema(document: Any) -> None:
    next(iter(document["components"]["schemas"].values()))["type"] = "objekt"


@pytest.mark.parametrize(("damage", "place"), [(action, "operations"), (reference, "operations"), (parameter, "channels"), (schema, "")])
async def test_a_damaged_document_is_refused(node: Any, document: Any, tmp_path: Path, damage: Any, place: str) -> None:
    damage(document)
    (tmp_path / "broken.json").write_text(json.dumps(document))
    errors = (await node("asyncapi.mjs", tmp_path / "broken.json"))["errors"]
    assert any(error.startswith(place) for error in errors), errors
