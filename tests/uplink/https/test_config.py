"""Options that cannot work are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.uplink.https.config import HttpsOptions


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"https": "ftp://crm.example.com/"}, "write https://host/path"),
        ({"https": "crm.example.com/events"}, "write https://host/path"),
        ({"https": "https:///events"}, "write https://host/path"),
        ({"https": "https://edge:pw@crm.example.com/"}, "no user or password in the address"),
        ({"https": "http://crm.example.com/events"}, "not encrypted"),
        ({"https": "http://10.0.0.5/events"}, "not encrypted"),
        ({"https": "https://crm.example.com/", "mode": "text"}, "mode must be one of structured, binary, batch"),
        ({"https": "https://crm.example.com/", "concurrency": 0}, "greater than or equal to 1"),
        ({"https": "https://crm.example.com/", "token": "abc"}, "token"),
        ({"https": "https://crm.example.com/", "tokn": {"secret": "a"}}, "Extra inputs"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HttpsOptions.model_validate(options)


@pytest.mark.parametrize("address", ["https://crm.example.com/events", "http://localhost:8080/", "http://127.0.0.1/x", "http://[::1]:80/x"])
def test_addresses_that_are_encrypted_or_of_this_machine_are_taken(address: str) -> None:
    assert HttpsOptions.model_validate({"https": address}).https == address
