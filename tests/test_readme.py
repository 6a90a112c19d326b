"""The README says what is so: its figures come from the results, its links lead somewhere, its configuration is valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config import load

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_figures_are_those_of_the_last_results() -> None:
    shown = re.search(r"<!-- results -->\n(.*?)<!-- /results -->", README, re.DOTALL)
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    table = "".join(line + "\n" for line in results.splitlines() if line.startswith("|"))
    assert shown is not None
    assert shown[1] == table


def test_every_link_leads_somewhere() -> None:
    targets = {target for target in re.findall(r"\]\(([^)#\s]+)\)", README) if "://" not in target}
    assert len(targets) > 15
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_make_target_it_names_exists() -> None:
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b(?!,)", README.replace("`make` says", ""))) <= rules


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(version: 1.*?)```", README, re.DOTALL)
    assert block is not None
    file = tmp_path / "lineside.yaml"
    file.write_text(block[1])
    assert [watch.name for watch in load(file, secrets=False).watches] == ["limit-1", "anomaly-1"]


def test_the_error_it_shows_is_what_check_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.config import ConfigErrors, render

    block = re.search(r"```yaml\n(version: 1.*?)```", README, re.DOTALL)
    assert block is not None
    monkeypatch.chdir(tmp_path)
    Path("lineside.yaml").write_text(block[1].replace("float32, unit: degC", "float32, untit: degC"))
    with pytest.raises(ConfigErrors) as failure:
        load(Path("lineside.yaml"), secrets=False)
    said = render(failure.value.problems).splitlines()[0]
    assert said in README
