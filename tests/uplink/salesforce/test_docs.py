"""What the documents tell the administrator to write is understood by the gateway."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from gateway.exports.salesforce.folder import source_folder
from gateway.uplink.https.config import HttpsOptions

PEM = "-----BEGIN CERTIFICATE-----\nMIIBszCCARw=\n-----END CERTIFICATE-----"
GUIDE = (Path(__file__).parents[3] / "docs/salesforce.md").read_text(encoding="utf-8")
TEXTS = {"guide": GUIDE, "jwt": source_folder(certificate=PEM)["README.md"], "credentials": source_folder()["README.md"]}


def blocks(text: str) -> list[str]:
    return [textwrap.dedent(found) for found in re.findall(r"^ *```yaml\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)]


@pytest.mark.parametrize("name", TEXTS)
def test_examples_are_valid(name: str) -> None:
    found = blocks(TEXTS[name])
    assert found
    for block in found:
        options = HttpsOptions.model_validate(yaml.safe_load(block)["deliver"]["crm"])
        assert (options.preset, options.auth.is_oauth, options.auth.token_url) == ("salesforce", True, "/services/oauth2/token")


def test_every_code_of_the_preset_is_explained() -> None:
    preset = (Path(__file__).parents[3] / "gateway/uplink/https/presets/salesforce.yaml").read_text(encoding="utf-8")
    internal = {"PROCESSING_HALTED", "ALL_OR_NONE_OPERATION_ROLLED_BACK", "OPERATION_ENQUEUED"}  # nothing an administrator could change
    codes = set(re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)+\b", preset)) - internal
    assert {code for code in codes if code not in GUIDE and not code.startswith("INSUFFICIENT_ACCESS")} == set()
