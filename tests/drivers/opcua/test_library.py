"""What we use of asyncua beside its documented interface. If one of these fails, read `session.py` and `subscription.py` again."""

from __future__ import annotations

import inspect

from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient
from asyncua.common.utils import Buffer


def test_a_request_can_be_sent_for_the_bytes_of_its_response() -> None:
    parameters = list(inspect.signature(UaClient._send_request).parameters)
    assert parameters[:3] == ["self", "request", "timeout"]
    assert inspect.iscoroutinefunction(UaClient._send_request)
    assert bytes(Buffer(b"abcdef", 2)) == b"cdef"


def test_a_session_can_be_opened_step_by_step_without_the_tasks_of_connect() -> None:
    steps = ("connect_socket", "send_hello", "open_secure_channel", "create_session", "activate_session", "disconnect")
    assert all(inspect.iscoroutinefunction(getattr(Client, step)) for step in steps)
    assert {"username", "password"} <= set(inspect.signature(Client.activate_session).parameters)
    assert "renew" in inspect.signature(Client.open_secure_channel).parameters
    assert "create_task" not in "".join(inspect.getsource(getattr(Client, step)) for step in steps)
    assert callable(UaClient.revolve_security_token)


def test_items_are_created_in_one_call() -> None:
    assert list(inspect.signature(UaClient.create_monitored_items).parameters) == ["self", "params"]
