"""What npm installs here is fixed to the byte, and from wherever npm is set to."""

from __future__ import annotations

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
LOCK = json.loads((HERE / "package-lock.json").read_text())
PACKAGE = json.loads((HERE / "package.json").read_text())


def test_every_package_has_its_hash_and_none_says_where_it_is() -> None:
    packages = {path: entry for path, entry in LOCK["packages"].items() if path}
    assert len(packages) > 100
    assert [path for path, entry in packages.items() if not entry.get("integrity", "").startswith("sha512-")] == []
    assert [path for path, entry in packages.items() if "resolved" in entry] == []


def test_versions_are_exact_and_those_of_the_lock() -> None:
    assert LOCK["packages"][""]["dependencies"] == PACKAGE["dependencies"]
    for name, version in PACKAGE["dependencies"].items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), name
        assert LOCK["packages"][f"node_modules/{name}"]["version"] == version


def test_what_the_examples_need_is_what_is_tried_here() -> None:
    wanted = json.loads((HERE.parents[1] / "docs" / "examples" / "package.json").read_text())["dependencies"]
    for name, version in wanted.items():
        assert version.startswith("^"), name
        assert PACKAGE["dependencies"][name].split(".")[0] == version[1:].split(".")[0], name
