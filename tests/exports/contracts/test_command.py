"""`lineside export asyncapi` and `lineside export jsonschema` as they are typed."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.commands.schema import event_types
from gateway.events.catalogue import REGISTRY_URL, SHIPPED
from gateway.exports.asyncapi import asyncapi

FACT = {"machine": "mes", "title": "order 4711", "detector": "order-1", "at": "2027-01-15T08:00:00.000000000Z"}


def lineside(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["export", *arguments], prog_name="lineside")


def index_of(folder: Path) -> Any:
    return json.loads((folder / "registry.json").read_bytes())["schemagroups"]["io.lineside"]["schemas"]


def test_asyncapi_goes_to_a_file_or_to_standard_output(tmp_path: Path) -> None:
    result = lineside("asyncapi", str(tmp_path / "new" / "events.json"))
    assert (result.exit_code, result.output) == (0, "")
    printed = lineside("asyncapi")
    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == json.loads((tmp_path / "new" / "events.json").read_bytes()) == asyncapi()


def test_jsonschema_has_every_version_of_every_type(tmp_path: Path) -> None:
    assert lineside("jsonschema", str(tmp_path)).exit_code == 0
    index = index_of(tmp_path)
    types = [*event_types(), *SHIPPED.received_types()]
    assert set(index) == {type_.rsplit(".", 1)[0] for type_ in types}
    for type_ in types:
        for version in SHIPPED.versions(type_):
            entry = index[type_.rsplit(".", 1)[0]]["versions"][str(version)]
            body = (tmp_path / entry["schemaurl"]).read_bytes()
            assert sha256(body).hexdigest() == entry["sha256"]
            assert json.loads(body) == SHIPPED.schema(type_, version.minor)
            assert entry["dataschema"] == json.loads(body)["$id"] == SHIPPED.dataschema(type_, version.minor)


def test_what_is_released_is_closed_and_can_be_had_open(tmp_path: Path) -> None:
    place = f"registry/contracts{SHIPPED.dataschema('io.lineside.order.milestone_reached.v1').removeprefix(REGISTRY_URL)}"
    assert lineside("jsonschema", str(tmp_path / "closed")).exit_code == 0
    assert lineside("jsonschema", str(tmp_path / "open"), "--open").exit_code == 0
    closed, opened = (fastjsonschema.compile(json.loads((tmp_path / name / place).read_bytes())) for name in ("closed", "open"))
    later = FACT | {"of_a_later_minor": 1}
    closed(FACT)
    opened(later)
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        closed(later)
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        opened(FACT | {"title": 5})
    index = index_of(tmp_path / "open")["io.lineside.order.milestone_reached"]["versions"]["1.0"]
    assert index["sha256"] == sha256((tmp_path / "open" / place).read_bytes()).hexdigest()


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        assert lineside("jsonschema", str(tmp_path)).exit_code == 0
    first = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    assert lineside("jsonschema", str(tmp_path)).exit_code == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == first


@pytest.mark.parametrize(("what", "target"), [("asyncapi", "file/events.json"), ("jsonschema", "file/contracts")])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, target: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a file, no folder")
    result = lineside(what, target)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"lineside: {target}")
    assert "cannot be written" in result.stderr
