"""What a stranger installs: whose the packages are, what the locks hold, what the repository must not say."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path

import pytest

import drivers
import gateway
import models

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = sorted((ROOT / "locks").glob("*.lock"))


@pytest.mark.parametrize("package", [gateway, drivers, models], ids=lambda package: package.__name__)
def test_generic_package_names_are_ours_alone(package: object) -> None:
    name = package.__name__  # type: ignore[attr-defined]
    # An editable install lists no files; the wheel's own test (smoke.py) is strict.
    assert set(packages_distributions().get(name, ["lineside"])) == {"lineside"}
    assert Path(package.__file__).is_relative_to(ROOT)  # type: ignore[attr-defined]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_has_hashes_and_names_no_host(lock: Path) -> None:
    text = lock.read_text()
    requirements = re.findall(r"^([a-zA-Z0-9_.-]+)==[^\s;]+", text, re.MULTILINE)
    blocks = [block for block in re.split(r"^(?=[a-zA-Z])", text, flags=re.MULTILINE) if "==" in block]
    assert len(blocks) == len(requirements) > 20
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text
    assert "index" not in text


def test_the_gateway_lock_holds_everything_that_is_declared() -> None:
    locked = {
        name.lower().replace("_", "-")
        for name in re.findall(r"^([a-zA-Z0-9_.-]+)==", (ROOT / "locks/gateway.lock").read_text(), re.MULTILINE)
    }
    declared = {re.match(r"[a-zA-Z0-9_.-]+", text)[0].lower() for text in PROJECT["dependencies"]}  # type: ignore[index]
    assert {name.replace(".", "-") for name in declared} <= {name.replace(".", "-") for name in locked}


def test_every_dependency_has_a_lower_bound() -> None:
    assert [text for text in PROJECT["dependencies"] if ">=" not in text] == []


@pytest.mark.parametrize("group", ["gateway.sources", "gateway.detectors", "gateway.uplinks"])
def test_every_entry_point_loads_and_bears_its_name(group: str) -> None:
    declared = PROJECT["entry-points"][group]
    installed = {entry.name: entry for entry in entry_points(group=group)}
    assert set(declared) == set(installed)
    for name, entry in installed.items():
        assert entry.load().name == name


def test_the_repository_names_no_machine_path_and_no_index() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not files:
        pytest.skip("not a git checkout")
    words = re.compile(r"/w[o]rk/|/r[o]ot/|index-u[r]l|find-l[i]nks|pypi\.o[r]g|registry\.n[p]mjs", re.IGNORECASE)
    found = []
    for name in files:
        path = ROOT / name
        if path.suffix in {".png", ".npz", ".lock"} or not path.is_file():
            continue
        found += [f"{name}: {match[0]}" for match in words.finditer(path.read_text(errors="replace"))]
    assert found == []
