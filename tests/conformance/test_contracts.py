"""Another validator reads the contracts as ours does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from gateway.events.catalogue import SHIPPED

FOLDER = Path(str(SHIPPED.folder))
VERSIONS = [(name, version) for name, versions in SHIPPED.contracts().items() for version in versions]


def accepts(schema: Any, instance: Any) -> bool:
    try:
        fastjsonschema.validate(schema, instance)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


def examples(kind: str) -> list[Any]:
    """``[{schema, instance}]`` of every version of every contract."""
    found = []
    for name, version in VERSIONS:
        schema = json.loads(SHIPPED.file(name, version).read_text(encoding="utf-8"))
        files = sorted((FOLDER / name / f"{version}.{kind}").glob("*.json"))
        assert files, f"{name} {version} has no {kind} example"
        found += [{"schema": schema, "instance": json.loads(file.read_text(encoding="utf-8"))} for file in files]
    return found


@pytest.mark.parametrize(("kind", "verdict"), [("valid", True), ("invalid", False)])
async def test_ajv_and_fastjsonschema_agree_on_every_example(node: Any, kind: str, verdict: bool) -> None:
    given = examples(kind)
    theirs = await node("ajv.mjs", given=given)
    assert theirs == [accepts(**each) for each in given] == [verdict] * len(given)


async def test_formats_are_looked_at_by_both(node: Any) -> None:
    """`format` is a remark to a validator that is not asked to check it."""
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "string", "format": "date-time"}
    given = [{"schema": schema, "instance": text} for text in ("2027-01-15T08:00:00.000000001Z", "yesterday", "2027-01-15T08:00:00")]
    assert await node("ajv.mjs", given=given) == [accepts(**each) for each in given] == [True, False, False]


async def test_a_schema_that_is_none_is_refused_by_it(node: Any) -> None:
    with pytest.raises(AssertionError, match="schema is invalid"):
        await node("ajv.mjs", given=[{"schema": {"type": "objekt"}, "instance": {}}])
