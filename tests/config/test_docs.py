"""configuration.md knows every option, and its examples are valid."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gateway.config import model
from gateway.config.explain import option_names
from gateway.config.yaml import parse
from gateway.contract import Quality, options, reason
from gateway.contract.options import StrictModel

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def models(module: Any) -> list[type[BaseModel]]:
    found = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, StrictModel)]
    return [kind for kind in found if kind.__module__ == module.__name__ and kind is not StrictModel]


@pytest.mark.parametrize("kind", [*models(model), *models(options)], ids=lambda kind: kind.__name__)
def test_every_option_is_described(kind: type[BaseModel]) -> None:
    missing = [name for name in option_names(kind) if f"`{name}`" not in PAGE and f"{{{name}: " not in PAGE]
    assert missing == []


@pytest.mark.parametrize("kind", [*models(model), *models(options)], ids=lambda kind: kind.__name__)
def test_every_default_is_told(kind: type[BaseModel]) -> None:
    page = PAGE.replace("\n", " ")
    for name, info in kind.model_fields.items():
        if isinstance(info.default, str | int | float) and info.default != "":
            default = f"{info.default:g}" if isinstance(info.default, float) else str(info.default)
            assert f"| `{name}` | `{default}` |" in page or f"`{name}` (default `{default}`" in page, name


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.split(":")[0])
def test_its_examples_are_valid(example: str, valid: Callable[[Any], Any]) -> None:
    rest = {"version": 1, "site": {"enterprise": "acme", "site": "dresden", "gateway": "gw-1"}}
    valid(rest | parse(example).data)


def test_every_reason_of_a_bad_reading_is_explained() -> None:
    rows = set(re.findall(r"^\| bad \| `(\w+)` \|", PAGE, re.MULTILINE))
    assert rows == {reason(quality) for quality in Quality if quality >= Quality.BAD}
