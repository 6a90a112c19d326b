"""Options that cannot work are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.uplink.nats.config import NatsOptions

GOOD = {"nats": "nats://127.0.0.1:4222", "stream": "EVENTS"}
SECRET = {"secret": "a"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nats": "127.0.0.1:4222"}, "write nats://host:4222"),
        ({"nats": "http://127.0.0.1:4222"}, "write nats://host:4222"),
        ({"nats": "nats://a:4222,b:4222"}, "write nats://host:4222"),
        ({"nats": "nats://edge:pw@a:4222"}, "no user or password in the address"),
        ({"stream": ""}, "pattern"),
        ({"stream": "a.b"}, "pattern"),
        ({"subject_prefix": "evt.>"}, "pattern"),
        ({"subject_prefix": "evt."}, "pattern"),
        ({"subject_prefix": "evt v1"}, "pattern"),
        ({"user": "edge"}, "belong together"),
        ({"password": SECRET}, "belong together"),
        ({"user": "edge", "password": SECRET, "token": SECRET}, "user and token"),
        ({"credentials": SECRET, "token": SECRET}, "credentials and token"),
        ({"nkey": SECRET, "credentials": SECRET}, "credentials and nkey"),
        ({"client_certificate": "a.pem"}, "belong together"),
        ({"client_key": "a.key"}, "belong together"),
        ({"inbox_prefix": "_INBOX.>"}, "pattern"),
        ({"inbox_prefix": ""}, "pattern"),
        ({"domain": "a.b"}, "pattern"),
        ({"feedback": {"topic": "fb"}}, "Extra inputs"),
        ({"feedback": {"subject": "fb.>"}}, "pattern"),
        ({"in_flight": 0}, "greater than or equal to 1"),
        ({"password": "s3cret", "user": "edge"}, "password"),
        ({"streem": "EVENTS"}, "Extra inputs"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        NatsOptions.model_validate(GOOD | options)


def test_several_servers_are_taken() -> None:
    assert NatsOptions.model_validate(GOOD | {"nats": "tls://a:4222, tls://b:4222"}).servers == ["tls://a:4222", "tls://b:4222"]


@pytest.mark.parametrize(
    ("options", "encrypted"),
    [
        ({}, False),
        ({"nats": "tls://a:4222"}, True),
        ({"nats": "nats://a:4222,tls://b:4222"}, True),
        ({"ca": "ca.pem"}, True),
        ({"tls_first": True}, True),
        ({"client_certificate": "a.pem", "client_key": "a.key"}, True),
    ],
)
def test_whoever_asks_for_encryption_gets_it_or_nothing(options: dict[str, Any], encrypted: bool) -> None:
    assert NatsOptions.model_validate(GOOD | options).encrypted is encrypted


def test_api_of_a_domain() -> None:
    assert NatsOptions.model_validate(GOOD).api == "$JS.API"
    assert NatsOptions.model_validate(GOOD | {"domain": "hub"}).api == "$JS.hub.API"
