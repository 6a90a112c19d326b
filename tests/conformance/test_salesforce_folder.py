"""Salesforce's own library resolves and converts the folder of `lineside export salesforce`.

It checks structure and names, not what each setting means to an org.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MAIN = "force-app/main/default"
TYPES = {"CustomObject", "CustomField", "Flow", "PermissionSet", "ExternalClientApplication"}


@pytest.fixture
def folder(lineside: Any, tmp_path: Path) -> Callable[..., Path]:
    def export(*options: str) -> Path:
        lineside("export", "salesforce", tmp_path / "sfdx", *options)
        return tmp_path / "sfdx"

    return export


def fields_of(exported: Path) -> dict[str, set[str]]:
    """Of each object, by the names of their files."""
    found: dict[str, set[str]] = {}
    for file in (exported / MAIN / "objects").rglob("*.field-meta.xml"):
        found.setdefault(file.parts[-3], set()).add(file.name.removesuffix(".field-meta.xml"))
    return found


@pytest.mark.parametrize("mode", ["event", "record"])
async def test_every_file_is_resolved_and_converted(node: Any, folder: Any, mode: str) -> None:
    exported = folder("--mode", mode)
    files = {str(path) for path in (exported / "force-app").rglob("*") if path.is_file()}
    found = await node("sdr.mjs", exported)
    assert set(found["files"]) == files
    assert len(files) > 20
    assert set(found["types"]) >= TYPES
    manifest = found["package"]
    assert set(re.findall(r"<name>(\w+)</name>", manifest)) == set(found["types"])
    # What the library writes for the older form of deployment holds each component once.
    assert manifest.count("<members>") == found["components"]
    assert (exported / "out" / "package.xml").is_file()
    for name, fields in fields_of(exported).items():
        converted = (exported / "out" / "objects" / f"{name}.object").read_text()
        assert set(re.findall(r"<fields>\s*<fullName>(\w+)</fullName>", converted)) == fields


async def test_a_file_it_does_not_know_is_refused(node: Any, folder: Any) -> None:
    exported = folder()
    (exported / MAIN / "nonsense").mkdir()
    (exported / MAIN / "nonsense" / "Thing.nonsense-meta.xml").write_text("<Nonsense/>")
    assert (await node("sdr.mjs", exported))["error"] == "TypeInferenceError"
