"""Every version of every contract: its examples, its hash, and that it is closed where the shape is ours."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.events.catalogue import INCIDENT_STATES, SHIPPED, ContractViolation, Version

FOLDER = Path(str(SHIPPED.folder))
VERSIONS = [(name, version) for name, versions in SHIPPED.contracts().items() for version in versions]


def examples(kind: str) -> list[Any]:
    return [
        pytest.param(name, version, file, id=f"{name}-{version}-{file.stem}")
        for name, version in VERSIONS
        for file in sorted((FOLDER / name / f"{version}.{kind}").glob("*.json"))
    ]


def type_of(name: str, version: Version, data: dict[str, Any]) -> str:
    if name == "incident":
        state = data.get("state")
        return f"io.lineside.limit.{state if state in INCIDENT_STATES else 'raised'}.v{version.major}"
    return f"io.lineside.{'tool.was_changed' if name == 'fact' else name}.v{version.major}"


def load(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(("name", "version", "file"), examples("valid"))
def test_a_valid_example_fits(name: str, version: Version, file: Path) -> None:
    data = load(file)
    SHIPPED.check(type_of(name, version, data), data, version.minor)


@pytest.mark.parametrize(("name", "version", "file"), examples("invalid"))
def test_an_invalid_example_is_refused_for_what_its_name_says(name: str, version: Version, file: Path) -> None:
    data = load(file)
    with pytest.raises(ContractViolation) as caught:
        SHIPPED.check(type_of(name, version, data), data, version.minor)
    place = [part for part in caught.value.pointer.split("/") if part and not part.isdigit()][-1:]
    known = set(json.loads(SHIPPED.file(name, version).read_text(encoding="utf-8"))["properties"]) & set(data)
    missing_or_strange = set(re.findall(r"'([^']+)'", caught.value.problem)) - known
    assert any(word in file.stem for word in [*place, *missing_or_strange]), str(caught.value)


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_every_version_has_examples_of_both_kinds(name: str, version: Version) -> None:
    assert len(list((FOLDER / name / f"{version}.valid").glob("*.json"))) >= 1
    assert len(list((FOLDER / name / f"{version}.invalid").glob("*.json"))) >= 3


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_every_required_property_and_every_word_of_an_enum_is_shown(name: str, version: Version) -> None:
    contract = json.loads(SHIPPED.file(name, version).read_text(encoding="utf-8"))
    shown = [load(file) for file in (FOLDER / name / f"{version}.valid").glob("*.json")]
    assert {key for data in shown for key in data} == set(contract["properties"]), "a property no example shows"
    assert not [key for key in contract["required"] if any(key not in data for data in shown)]


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_it_is_closed_for_the_producer_where_the_shape_is_ours(name: str, version: Version) -> None:
    contract = json.loads(SHIPPED.file(name, version).read_text(encoding="utf-8"))
    assert contract["$schema"] == "http://json-schema.org/draft-07/schema#"
    for shape in shapes(contract):
        assert shape.get("additionalProperties") is False, shape


def shapes(node: Any) -> Iterator[dict[str, Any]]:
    """Every object whose properties are listed."""
    if isinstance(node, dict):
        if "properties" in node and "type" in node:
            yield node
        for value in node.values():
            yield from shapes(value)


def test_what_was_released_is_as_it_was_released() -> None:
    """A released version is not edited: write a new minor, and add its line to released.json."""
    released = json.loads((FOLDER / "released.json").read_text(encoding="utf-8"))
    there = {f"{name}/{version}": hashlib.sha256(SHIPPED.file(name, version).read_bytes()).hexdigest() for name, version in VERSIONS}
    assert there == released


def test_nothing_else_lies_in_the_folder() -> None:
    pattern = re.compile(r"[a-z_.]+/\d+\.\d+(\.schema\.json|\.(valid|invalid)/[A-Za-z0-9_.-]+\.json)|released\.json")
    files = [str(file.relative_to(FOLDER)) for file in FOLDER.rglob("*") if file.is_file()]
    assert [file for file in files if not pattern.fullmatch(file)] == []
