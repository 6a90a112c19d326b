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
